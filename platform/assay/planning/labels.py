"""Short labels for the trials that share a stage."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from assay.planning import Plan, PlannedTrial


@cache
def name_parts(name: str) -> tuple[str, ...]:
    """Split "AdaGN, steps [50, 25], seed 1" into its three parts, at commas outside of brackets."""
    return tuple(re.split(r", (?![^\[]*\])", name))


def serves(plan: Plan, key: str) -> str:
    """ "AdaGN" for a stage of all of AdaGN's trials; "all 4 trials"; or the single trial's name."""
    trials = plan.trials_of[key]
    if len(trials) == len(plan.trials):
        return trials[0].name if len(trials) == 1 else f"all {len(trials)} trials"
    if len(trials) == 1:
        return trials[0].name
    shared = _shared_words(trials, plan.trials)
    return shared or f"{trials[0].name} and {len(trials) - 1} more"


def _shared_words(trials: Sequence[PlannedTrial], others: Sequence[PlannedTrial]) -> str | None:
    """The parts of their names that these trials have in common, if no other trial has all of them."""
    first, *rest = [name_parts(trial.name) for trial in trials]
    common = [part for part in first if all(part in parts for parts in rest)]
    matching = [trial for trial in others if all(part in name_parts(trial.name) for part in common)]
    return ", ".join(common) if common and len(matching) == len(trials) else None
