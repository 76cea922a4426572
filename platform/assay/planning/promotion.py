"""What a plan expects of halving: how many trials reach each rung, and how likely each stage is to be needed."""

from __future__ import annotations

from collections.abc import Mapping
from math import fsum

from assay.planning.plan import Plan


def expected_climbers(plan: Plan) -> list[int]:
    """How many trials halving promotes to each rung."""
    return [round(fsum(expected.values())) for expected in _expected(plan)]


def chances(plan: Plan) -> Mapping[str, float]:
    """Key → an upper bound on the probability that a stage is needed: below 1 only if halving is yet to choose."""
    if plan.sweep.scheduler.facts.keeps is None:
        return dict.fromkeys(plan.needed, 1.0)
    chances: dict[str, float] = {}
    for rung, expected in enumerate(_expected(plan)):
        of_readers: dict[str, list[float]] = {}
        for number, probability in expected.items():
            for stage in plan.trials[number].rungs[rung].stages:
                of_readers.setdefault(stage.key, []).append(probability)
        for key, probabilities in of_readers.items():
            chances[key] = max(chances.get(key, 0.0), min(1.0, fsum(probabilities)))
    return chances


def _expected(plan: Plan) -> list[dict[int, float]]:
    """Per rung: number of a trial → the probability that it climbs there, as `RungDecisions.promote` will decide. 1 if
    that is decided; undecided trials are equally likely."""
    scheduler = plan.sweep.scheduler
    keeps = scheduler.facts.keeps
    assert keeps is not None
    rungs = [dict.fromkeys(range(len(plan.trials)), 1.0)]
    for rung in range(len(scheduler.rungs) - 1):
        before = rungs[-1]
        decided = {n: plan.trials[n].decision(plan.trials[n].rungs[rung], plan.decided) for n in before}
        promoted = dict.fromkeys((n for n, decision in decided.items() if decision == "go on"), 1.0)
        undecided = [n for n, decision in decided.items() if decision is None]
        num_trials, waiting = round(fsum(before.values())), round(fsum(before[n] for n in undecided))
        share = keeps(scheduler, num_trials) * waiting / num_trials if num_trials else 0.0
        num_promoted = max(min(waiting, round(share)), min(waiting, 1 - len(promoted)))
        rungs.append({**promoted, **dict.fromkeys(undecided, num_promoted / max(1, len(undecided)))})
    return rungs
