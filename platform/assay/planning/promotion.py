"""How many trials halving promotes to each rung, and how likely each stage is to be needed."""

from __future__ import annotations

from collections.abc import Mapping
from math import fsum

from assay.planning.plan import Plan

Odds = dict[int, float]
"""Number of a trial → the probability that it climbs to a rung: 1 if that is decided."""


def climbers(plan: Plan) -> list[int]:
    """How many trials halving promotes to each rung."""
    return [round(fsum(odds.values())) for odds in _odds(plan)]


def chances(plan: Plan) -> Mapping[str, float]:
    """Key → an upper bound on the probability that a stage is needed: below 1 only if halving is yet to choose."""
    if not plan.sweep.scheduler.facts.waits_for_all:
        return dict.fromkeys(plan.needed, 1.0)
    chances: dict[str, float] = {}
    for rung, odds in enumerate(_odds(plan)):
        of_readers: dict[str, list[float]] = {}
        for number, probability in odds.items():
            for stage in plan.trials[number].rungs[rung].stages:
                of_readers.setdefault(stage.key, []).append(probability)
        for key, probabilities in of_readers.items():
            chances[key] = max(chances.get(key, 0.0), min(1.0, fsum(probabilities)))
    return chances


def _odds(plan: Plan) -> list[Odds]:
    """Rung by rung, as `RungDecisions.cut` promotes. Undecided trials are equally likely to be promoted."""
    scheduler = plan.sweep.scheduler
    keeps = scheduler.facts.keeps
    assert keeps is not None
    rungs = [dict.fromkeys(range(len(plan.trials)), 1.0)]
    for rung in range(len(scheduler.rungs) - 1):
        odds = rungs[-1]
        decided = {n: plan.trials[n].decision(plan.trials[n].rungs[rung], plan.decided) for n in odds}
        promoted = dict.fromkeys((n for n, decision in decided.items() if decision == "go on"), 1.0)
        undecided = [n for n, decision in decided.items() if decision is None]
        num_trials, waiting = round(fsum(odds.values())), round(fsum(odds[n] for n in undecided))
        share = keeps(scheduler, num_trials) * waiting / num_trials if num_trials else 0.0
        num_promoted = max(min(waiting, round(share)), min(waiting, 1 - len(promoted)))
        rungs.append({**promoted, **dict.fromkeys(undecided, num_promoted / max(1, len(undecided)))})
    return rungs
