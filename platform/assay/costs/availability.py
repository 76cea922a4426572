"""What of a plan is stored, and what the rest would cost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from assay.costs.prices import Basis, Prices
from assay.errors import DamagedResult
from assay.planning.plan import Plan
from assay.planning.promotion import chances
from assay.store import Store
from assay.store.shards import cover
from assay.workload import Stage

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
    """Of the part that is left; None when neither earlier results nor FLOPs tell."""
    seconds: float | None
    """Of the part that is left, by what the same kind of stage took in this store; None when it never ran."""
    basis: Basis | None = None
    """What the V100-days are estimated by."""
    chance: float = 1.0
    """That some trial climbs to it: below 1 where halving takes only some, and which is not known yet."""


def survey(plan: Plan, store: Store) -> dict[str, StageStatus]:
    """Key → status, for every stage of the plan."""
    prices, below, likely = Prices(store, plan.sweep.resources), _below(plan), chances(plan)
    statuses = {}
    for key, stage in plan.stages.items():
        status = _status(stage, store, prices, below[key])
        if status.state == "stored" or key in likely:
            statuses[key] = replace(status, chance=likely.get(key, 1.0))
        else:
            statuses[key] = StageStatus(stage, "dropped", 0, 0.0, 0.0)
    return statuses


def _below(plan: Plan) -> dict[str, int]:
    """Key → the next smaller budget of the same lineage in the plan, whose end it goes on from; 0 for the smallest."""
    amounts: dict[str, list[int]] = {}
    for stage in plan.stages.values():
        amounts.setdefault(stage.lineage, []).append(stage.amount)
    return {
        key: max((amount for amount in amounts[stage.lineage] if amount < stage.amount), default=0)
        for key, stage in plan.stages.items()
    }


def _status(stage: Stage, store: Store, prices: Prices, below: int) -> StageStatus:
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
    left, price = 1 - max(done, below) / stage.amount, prices.of(stage)
    days, seconds = (None if whole is None else left * whole for whole in (price.v100_days, price.seconds))
    return StageStatus(stage, state, done, days, seconds, price.basis)
