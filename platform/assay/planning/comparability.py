"""Refuse trials that cannot stand side by side.

These are races that would be decided by how trials are measured instead of by how good they are, and stages of two
workloads that would read each other's results.

Decided when a sweep is planned. Which finished trials may be ranked together is decided in `results/ranking.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from assay.errors import UserError
from assay.sweep import Sweep
from assay.workload import Stage

if TYPE_CHECKING:
    from assay.planning.plan import PlannedTrial


def refuse_unfair_races(sweep: Sweep, trials: Sequence[PlannedTrial]) -> None:
    """Raise UserError where a scheduler would compare values at a rung that were measured under other conditions."""
    if not sweep.scheduler.facts.races or not trials:
        return
    for trial in trials[1:]:
        for ours, theirs in zip(trials[0].rungs, trial.rungs, strict=True):
            one, other = ours.leaf.conditions, theirs.leaf.conditions
            if differing := [name for name in {**one, **other} if one.get(name) != other.get(name)]:
                told = ", ".join(f"{name} {one.get(name)} and {other.get(name)}" for name in differing)
                raise UserError(
                    f"scheduler.name {sweep.scheduler.name} would race trials measured under different conditions: at "
                    f"{ours.amount} of {sweep.scheduler.budget}, {trials[0].name!r} and {trial.name!r} have {told}. "
                    "Measure all trials alike, put them in separate sweeps, or use scheduler fifo, which stops none"
                )


def refuse_shared_keys(trials: Sequence[PlannedTrial]) -> None:
    """Raise UserError where stages of two workloads have one key and other bodies; with the same they are shared."""
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
