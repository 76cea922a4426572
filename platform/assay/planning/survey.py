"""What of a plan is stored, and what the rest would cost: by earlier stages of the kind, or by FLOPs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from assay.errors import DamagedResult
from assay.planning.plan import Plan
from assay.store import Store
from assay.store.shards import cover
from assay.workload import Stage

V100_PEAK_FLOPS = 120e12
"""Half-precision peak of one V100, as table 7 assumes."""
V100_UTILISATION = 0.36
"""Share of the peak that table 7's optimized implementations reach, in the middle of their 29% to 41%."""
SECONDS_PER_DAY = 86_400

State = Literal["stored", "partial", "missing", "damaged", "dropped"]
"""dropped: not stored, and not needed, since the scheduler ended the trials that would."""


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


def survey(plan: Plan, store: Store) -> dict[str, StageStatus]:
    """Key → status, for every stage of the plan."""
    rates, below = _rates(store), _below(plan)
    statuses = {key: _status(stage, store, rates, below[key]) for key, stage in plan.stages.items()}
    dropped = {k for k, status in statuses.items() if status.state != "stored" and k not in plan.needed}
    return statuses | {key: StageStatus(plan.stages[key], "dropped", 0, 0.0, 0.0) for key in dropped}


def _below(plan: Plan) -> dict[str, int]:
    """Key → the next smaller budget of the same lineage in the plan, whose end it goes on from; 0 for the smallest."""
    amounts: dict[str, list[int]] = {}
    for stage in plan.stages.values():
        amounts.setdefault(stage.lineage, []).append(stage.amount)
    return {
        key: max((amount for amount in amounts[stage.lineage] if amount < stage.amount), default=0)
        for key, stage in plan.stages.items()
    }


def _status(stage: Stage, store: Store, rates: Rates, below: int) -> StageStatus:
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
    left = 1 - max(done, below) / stage.amount
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
        (r.stage, bool(r.record["flops"])): r.cost.seconds
        / ((r.record["flops"] or r.record["budget"]["amount"]) * r.share_charged)
        for r in latest
        if r.share_charged > 0
    }
