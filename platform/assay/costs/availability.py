"""Which stages of a plan are stored, and what the rest would cost."""

from __future__ import annotations

from collections.abc import Mapping, Set
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from assay.costs.cost_estimate import FREE, CostEstimate
from assay.costs.estimator import CostEstimator
from assay.costs.rates import NO_RATES, Rates
from assay.errors import DamagedResult
from assay.planning import Plan
from assay.planning.passes import as_charged
from assay.planning.promotion import chances
from assay.provenance import Stale, stale_stages
from assay.store import Store, StoredResult
from assay.store.shards import cover
from assay.workload import Stage

State = Literal["stored", "partial", "missing", "damaged", "dropped"]
"""dropped: not stored and not needed, since the scheduler ended the trials that would need it."""

RowsState = Literal["stored", "computed", "computed again"]
"""computed again: another stage has read them, but they were not stored."""


@dataclass(frozen=True)
class StageStatus:
    """A stage's progress before a run, and its remaining cost."""

    stage: Stage
    state: State
    done: int
    """How much of `stage.amount` is stored."""
    left: CostEstimate
    """The cost of the rest, if it is needed."""
    chance: float = 1.0
    """The probability that it is needed: below 1 if halving is yet to choose which trials climb to it."""
    result: StoredResult | None = None
    """If it is stored."""
    origins: frozenset[str] = frozenset()
    """The origins of the runs that computed what is stored of it."""
    rows: RowsState | None = None
    """Whether the rows that it will read are stored, or computed for it; None if it is given ids, or not computed."""

    @property
    def expected(self) -> CostEstimate:
        """Its share in the expected cost of the plan."""
        return self.left.expected(self.chance)


def survey(plan: Plan, store: Store, rates: Rates = NO_RATES) -> dict[str, StageStatus]:
    """Key → status, for every stage of the plan."""
    costs, chance_of = CostEstimator(store, plan.sweep.resources, plan.hints.days, rates), chances(plan)
    statuses = {}
    paid: set[tuple[str, str]] = set()
    """(key, resource group) of rows that are charged to their first reader in the group."""
    for key, stage in plan.stages.items():
        state, done, result = _state(stage, store)
        origins = frozenset[str]()
        if result is not None:
            origins = result.provenance.origins
        elif done:
            origins = store.origins_of_progress(stage)
        rows: RowsState | None = None
        if state == "stored":
            left = FREE
        elif key not in chance_of:
            state, done, left = "dropped", 0, FREE
        else:
            rows = _rows_state(stage, store, costs.rows_read)
            charged = stage
            if stage.rows is not None and rows != "stored" and (stage.rows.key, stage.group) not in paid:
                paid.add((stage.rows.key, stage.group))
                charged = as_charged(stage)
            left = costs.of(charged).part(1 - max(done, plan.begins_at[key]) / stage.amount)
        statuses[key] = StageStatus(stage, state, done, left, chance_of.get(key, 1.0), result, origins, rows)
    return statuses


def stale_of(statuses: Mapping[str, StageStatus], store: Store) -> list[Stale]:
    """The stages that would not be computed again as they are stored: their code changed while their version did not,
    or what they read was computed again since."""
    by_code = stale_stages(((status.stage, status.origins) for status in statuses.values()), store)
    results = {key: status.result for key, status in statuses.items() if status.result is not None}
    known = {stale.stage.key for stale in by_code}
    return [*by_code, *(stale for stale in stale_by_inputs(results, statuses) if stale.stage.key not in known)]


def stale_by_inputs(results: Mapping[str, StoredResult], statuses: Mapping[str, StageStatus]) -> list[Stale]:
    """The stored stages whose inputs were computed again after they read them, and became others."""
    stale = []
    for key, result in results.items():
        stage = statuses[key].stage
        now = {role: results[source.key].content for role, source in stage.inputs.items() if source.key in results}
        read = result.contents_read
        again = tuple(stage.inputs[role].name for role, content in now.items() if read.get(role, content) != content)
        if again:
            stale.append(Stale(stage, inputs=again))
    return stale


def _rows_state(stage: Stage, store: Store, rows_read: Set[str]) -> RowsState | None:
    if stage.rows is None:
        return None
    with suppress(DamagedResult):  # the next run computes it again
        if store.get(stage.rows.key) is not None:
            return "stored"
    return "computed again" if stage.rows.streamed and stage.rows.key in rows_read else "computed"


def _state(stage: Stage, store: Store) -> tuple[State, int, StoredResult | None]:
    """The state, how much of the stage's budget is stored, and the result if that is all."""
    state: State = "missing"
    try:
        if (result := store.get(stage.key)) is not None:
            return "stored", stage.amount, result
    except DamagedResult:
        state = "damaged"  # a plan changes nothing: the next run reports it, sets it aside and computes it again
    done = 0
    if stage.kind == "train":
        done = max((s for s in store.checkpoints(stage).steps() if s <= stage.amount), default=0)
    elif stage.kind == "map":
        done = sum(min(s.stop, stage.amount) - s.start for s in cover(store.shards(stage).listed(), stage.amount))
    return ("partial" if done and state == "missing" else state), done, None
