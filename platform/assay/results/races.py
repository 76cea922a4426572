"""Why a race by intervals ended, and which trials tied, in words."""

from __future__ import annotations

import math
from collections.abc import Sequence

from assay.planning import Plan
from assay.results.outcome import TrialOutcome
from assay.sweep.search.schedulers import Race
from assay.text import plural


def race_notes(plan: Plan, trials: Sequence[TrialOutcome]) -> list[str]:
    """By the stored decisions; empty if it is not over, or is another kind of race."""
    scheduler = plan.sweep.scheduler
    if not isinstance(scheduler, Race) or len(trials) < 2:
        return []
    names: dict[str, list[str]] = {}
    amounts: list[int] = []
    objective = plan.sweep.objective
    for trial in sorted(trials, key=lambda trial: objective.sign * trial.metrics.get(objective.name, math.nan)):
        for rung in trial.planned.climbs(plan.decided):
            decision = plan.decided.get(rung.leaf.key)
            if decision in ("won", "tied", "finished") and trial.planned.decision(rung, plan.decided) is not None:
                names.setdefault(decision, []).append(trial.planned.name)
                amounts.append(rung.amount or 0)
    if not names:
        return []
    at = f"at {scheduler.budget} {max(amounts):,}"
    share, sure = f"{100 * scheduler.indifference:g}%", f"{100 * scheduler.confidence:g}%"
    noise = f"noise, by intervals that hold together with {sure} confidence"
    if winners := names.get("won"):
        others = "all others" if all(trial.error is None for trial in trials) else "the others that did not fail"
        return [f"the race ended {at}: {'; '.join(winners)} is left, and {others} are worse beyond {noise}"]
    if tied := names.get("tied"):
        return [
            f"the race ended {at} as a tie of {plural(len(tied), 'trial')}: {'; '.join(tied)}. They differ from the "
            f"best by less than {share} of its value, and none can be better by more, by intervals that hold together "
            f"with {sure} confidence"
        ]
    left = names["finished"]
    return [
        f"the race ended {at}, its last rung, undecided among {plural(len(left), 'trial')}: {'; '.join(left)}. They "
        f"are neither worse than the best beyond {noise}, nor within the indifference of {share}; add rungs to go on"
    ]
