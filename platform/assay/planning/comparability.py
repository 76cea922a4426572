"""Refuse sweeps whose trials cannot be compared: measured differently in one race, or sharing keys by accident.

Checked when a sweep is planned. Which finished trials are ranked together is decided in `results/ranking.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from assay.errors import UserError
from assay.sweep import Sweep
from assay.text import value_in_words
from assay.workload import JSON, Stage

if TYPE_CHECKING:
    from assay.planning.plan import PlannedTrial


def differing(conditions: Sequence[Mapping[str, JSON]]) -> list[str]:
    """Names of the conditions that are not the same in all: those results may be neither raced nor ranked together."""
    names = dict.fromkeys(name for each in conditions for name in each)
    return [name for name in names if len({value_in_words(each.get(name)) for each in conditions}) > 1]


def conditions_of(metric: str, conditions: Mapping[str, JSON]) -> dict[str, JSON]:
    """A stage's conditions for one metric: where a condition has a value per metric, that metric's."""
    return {name: value.get(metric) if isinstance(value, Mapping) else value for name, value in conditions.items()}


def refuse_unfair_races(sweep: Sweep, trials: Sequence[PlannedTrial]) -> None:
    """Raise UserError if a scheduler would compare results at a rung that were measured under different conditions."""
    if not sweep.scheduler.facts.races or not trials:
        return
    for trial in trials[1:]:
        for ours, theirs in zip(trials[0].rungs, trial.rungs, strict=True):
            first, other = (conditions_of(sweep.objective.name, rung.leaf.conditions) for rung in (ours, theirs))
            if names := differing([first, other]):
                differences = ", ".join(f"{name} {first.get(name)} and {other.get(name)}" for name in names)
                raise UserError(
                    f"scheduler.name {sweep.scheduler.name} would race trials measured under different conditions: at "
                    f"{ours.amount} of {sweep.scheduler.budget}, {trials[0].name!r} and {trial.name!r} have "
                    f"{differences}. "
                    "Measure all trials alike, put them in separate sweeps, or use scheduler fifo, which stops none"
                )


def refuse_shared_keys(trials: Sequence[PlannedTrial]) -> None:
    """Raise UserError if stages of two workloads have the same key and different bodies."""
    first: dict[str, tuple[PlannedTrial, Stage]] = {}
    for trial in trials:
        for stage in trial.stages:
            theirs, other = first.setdefault(stage.key, (trial, stage))
            if other.body != stage.body and theirs.workload is not trial.workload:
                owners = [f"{t.workload.name} ({', '.join(s.body)})" for t, s in ((theirs, other), (trial, stage))]
                raise UserError(
                    f"stage {stage.name} has the same key in the workloads {' and '.join(owners)}: its name, version, "
                    "config and inputs are equal, and its bodies are not; rename it in one of them"
                )
