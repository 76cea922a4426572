"""What of a plan is stored, and what the rest would cost."""

from __future__ import annotations

from collections.abc import Set
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from assay.costs.cost_estimate import FREE, CostEstimate
from assay.costs.estimator import CostEstimator
from assay.errors import DamagedResult
from assay.planning import Plan
from assay.planning.passes import as_charged
from assay.planning.promotion import chances
from assay.store import Store
from assay.store.shards import cover
from assay.workload import Stage

State = Literal["stored", "partial", "missing", "damaged", "dropped"]
"""dropped: not stored, and not needed, since the scheduler ended the trials that would."""

RowsState = Literal["stored", "computed", "computed again"]
"""computed again: another stage read them before, and they were not stored."""


@dataclass(frozen=True)
class StageStatus:
    """One stage before a run: is it there, how far is it, what would the rest cost."""

    stage: Stage
    state: State
    done: int
    """How much of `stage.amount` is there, when partial."""
    left: CostEstimate
    """The part that is left, if it is needed."""
    chance: float = 1.0
    """That some trial climbs to it: below 1 where halving takes only some, and which is not known yet."""
    rows: RowsState | None = None
    """Whether the rows that it will read are stored, or computed for it; None if it is given ids, or not computed."""

    @property
    def expected(self) -> CostEstimate:
        """What it adds to what the whole plan would take."""
        return self.left.expected(self.chance)


def survey(plan: Plan, store: Store) -> dict[str, StageStatus]:
    """Key → status, for every stage of the plan."""
    prices, likely = CostEstimator(store, plan.sweep.resources, plan.hints.days), chances(plan)
    statuses = {}
    paid: set[tuple[str, str]] = set()
    """Keys of the stages whose rows the first of their readers in a resource group pays for."""
    for key, stage in plan.stages.items():
        state, done = _state(stage, store)
        rows: RowsState | None = None
        if state == "stored":
            left = FREE
        elif key not in likely:
            state, done, left = "dropped", 0, FREE
        else:
            rows = _rows_state(stage, store, prices.rows_read)
            charged = stage
            if stage.rows is not None and rows != "stored" and (stage.rows.key, stage.group) not in paid:
                paid.add((stage.rows.key, stage.group))
                charged = as_charged(stage)
            left = prices.of(charged).part(1 - max(done, plan.begins_at[key]) / stage.amount)
        statuses[key] = StageStatus(stage, state, done, left, likely.get(key, 1.0), rows)
    return statuses


def _rows_state(stage: Stage, store: Store, rows_read: Set[str]) -> RowsState | None:
    if stage.rows is None:
        return None
    with suppress(DamagedResult):  # the next run computes it again
        if store.get(stage.rows.key) is not None:
            return "stored"
    return "computed again" if stage.rows.streamed and stage.rows.key in rows_read else "computed"


def _state(stage: Stage, store: Store) -> tuple[State, int]:
    """The state, and how much of the stage's budget is there."""
    state: State = "missing"
    try:
        if store.get(stage.key) is not None:
            return "stored", stage.amount
    except DamagedResult:
        state = "damaged"  # a plan only looks: the next run reports it, sets it aside and computes it again
    done = 0
    if stage.kind == "train":
        done = max((s for s in store.checkpoints(stage).steps() if s <= stage.amount), default=0)
    elif stage.kind == "map":
        done = sum(min(s.stop, stage.amount) - s.start for s in cover(store.shards(stage).listed(), stage.amount))
    return ("partial" if done and state == "missing" else state), done
