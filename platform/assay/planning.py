"""From a sweep to a graph: its trials, the stages they share, what is stored already, and what the rest would cost.

Nothing here computes, and nothing here imports Ray or torch: `assay plan` answers in under two seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from assay.errors import DamagedResult
from assay.spec import Sweep, Trial
from assay.store import Store
from assay.store.shards import cover
from assay.workload import Stage, Workload, topological

V100_PEAK_FLOPS = 120e12
"""Half-precision peak of one V100, as table 7 assumes."""
V100_UTILISATION = 0.36
"""Share of the peak that table 7's optimized implementations reach, in the middle of their 29% to 41%."""
SECONDS_PER_DAY = 86_400

State = Literal["stored", "partial", "missing", "damaged"]


@dataclass(frozen=True)
class PlannedTrial:
    """A trial and the stages it needs, inputs first. The last stage's metrics are the trial's."""

    trial: Trial
    stages: tuple[Stage, ...]

    @property
    def name(self) -> str:
        return self.trial.name

    @property
    def leaf(self) -> Stage:
        return self.stages[-1]


@dataclass(frozen=True)
class Plan:
    """A sweep's trials and every distinct stage among them."""

    sweep: Sweep
    workload: Workload
    trials: tuple[PlannedTrial, ...]

    @cached_property
    def stages(self) -> dict[str, Stage]:
        """Key → stage, inputs before what reads them."""
        return {stage.key: stage for trial in self.trials for stage in trial.stages}

    @cached_property
    def trials_of(self) -> dict[str, tuple[PlannedTrial, ...]]:
        """Key → the trials that need that stage."""
        return {key: tuple(t for t in self.trials if any(s.key == key for s in t.stages)) for key in self.stages}


@dataclass(frozen=True)
class StageStatus:
    """One stage before a run: is it there, how far is it, what would the rest cost."""

    stage: Stage
    state: State
    done: int
    """Of `stage.amount`, when partial."""
    v100_days: float | None
    """Of the part that is left, by FLOPs at table 7's utilisation; None when the FLOPs are unknown."""
    seconds: float | None
    """Of the part that is left, by what the same kind of stage took in this store; None when it never ran."""


def make_plan(sweep: Sweep) -> Plan:
    workload = sweep.find_workload()
    trials = []
    for trial in sweep.trials():
        stages = topological(workload.stages(trial.config))
        trials.append(PlannedTrial(trial, tuple(stages)))
    return Plan(sweep, workload, tuple(trials))


def survey(plan: Plan, store: Store) -> dict[str, StageStatus]:
    """Key → status, for every stage of the plan."""
    rates = _rates(store)
    return {key: _status(stage, store, rates) for key, stage in plan.stages.items()}


def _status(stage: Stage, store: Store, rates: Rates) -> StageStatus:
    state: State = "missing"
    done = 0
    try:
        if store.get(stage.key) is not None:
            return StageStatus(stage, "stored", stage.amount, 0.0, 0.0)
    except DamagedResult:
        state = "damaged"  # a plan only looks: the next run reports it, sets it aside and computes it again
    if stage.kind == "train":
        done = max((s for s in store.checkpoints(stage).steps() if s <= stage.amount), default=0)
    elif stage.kind == "map":
        done = sum(min(s.stop, stage.amount) - s.start for s in cover(store.shards(stage).listed(), stage.amount))
    if done and state == "missing":
        state = "partial"
    left = 1 - done / stage.amount
    v100_days = None
    if stage.flops is not None:
        v100_days = left * stage.flops / (V100_PEAK_FLOPS * V100_UTILISATION * SECONDS_PER_DAY)
    rate = rates.get((stage.name, bool(stage.flops)))
    seconds = None if rate is None else left * _work(stage) * rate
    return StageStatus(stage, state, done, v100_days, seconds)


Rates = Mapping[tuple[str, bool], float]
"""(Stage name, whether its FLOPs are known) → seconds a FLOP, or else an item of its budget."""


def _work(stage: Stage) -> float:
    """What a stage's duration grows with."""
    return stage.flops if stage.flops else float(stage.amount)


def _rates(store: Store) -> Rates:
    """By the latest result of each kind in the store."""
    latest = sorted(store.results(), key=lambda r: str(r.record["created"]))
    return {
        (r.stage, bool(r.record["flops"])): r.cost.seconds / (r.record["flops"] or r.record["budget"]["amount"])
        for r in latest
    }
