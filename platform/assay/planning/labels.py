"""Which arms a shared stage serves, in as few words as tell them from the others."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from assay.planning import Plan, PlannedTrial


@cache
def name_parts(name: str) -> tuple[str, ...]:
    """ "AdaGN, steps [50, 25], seed 1" in its three parts: commas inside a list separate nothing."""
    return tuple(re.split(r", (?![^\[]*\])", name))


def serves(plan: Plan, key: str) -> str:
    """ "AdaGN" for the stage that both of AdaGN's trials read; "all 4 trials"; the one trial's name."""
    trials = plan.trials_of[key]
    if len(trials) == len(plan.trials):
        return trials[0].name if len(trials) == 1 else f"all {len(trials)} trials"
    if len(trials) == 1:
        return trials[0].name
    shared = _shared_words(trials, plan.trials)
    return shared or f"{trials[0].name} and {len(trials) - 1} more"


def _shared_words(trials: Sequence[PlannedTrial], others: Sequence[PlannedTrial]) -> str | None:
    """The parts of their names that these trials have in common, when no other trial has all of them."""
    first, *rest = [name_parts(trial.name) for trial in trials]
    common = [part for part in first if all(part in parts for parts in rest)]
    matching = [trial for trial in others if all(part in name_parts(trial.name) for part in common)]
    return ", ".join(common) if common and len(matching) == len(trials) else None
