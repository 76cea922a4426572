"""What a study cost, stage by stage, and what it did not: by sharing, by what was stored before, by stopping early."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

from assay.costs.ledger import Entry, Total, entries, total
from assay.planning import Plan
from assay.planning.labels import serves
from assay.store import StoredResult
from assay.workload import ReportHints, Stage


@dataclass(frozen=True)
class Charge:
    """One stage: its line in the ledger, and whom it was for."""

    entry: Entry
    budget: str
    """ "5,000 rows"; empty for a stage without one."""
    serves: str
    trials: int
    unit: str
    """What its items are; empty for a stage without any."""
    is_found: bool
    """It was stored before any run of this study needed it."""


@dataclass(frozen=True)
class Savings:
    """What was not computed."""

    sharing: Total
    """Stages that several trials read were computed once: the other times."""
    caching: Total
    """Stages that were stored before."""
    early_stopping: Total
    """Rungs that the scheduler spared: an estimate, by what the same kind of stage took below."""


@dataclass(frozen=True)
class CostSheet:
    sweep: str
    hints: ReportHints
    """How the workload calls its items and its device-days."""
    charges: tuple[Charge, ...]
    """Every stored stage of the study once, inputs before what reads them."""
    total: Total
    """The cost of what the study's own runs computed."""
    savings: Savings


def cost_sheet(plan: Plan, results: Mapping[str, StoredResult], computed: Set[str]) -> CostSheet:
    """`results` by key, as far as they are stored; `computed` are the keys that the study's own runs computed."""
    listed, uses = _entries(plan, results), _uses(plan)
    charges = tuple(
        Charge(entry, _budget(plan.stages[key]), serves(plan, key), uses[key], _unit(plan, key), key not in computed)
        for key, entry in listed.items()
    )
    own = total(charge.entry for charge in charges if not charge.is_found)
    return CostSheet(plan.sweep.name, plan.hints, charges, own, saved(plan, results, computed))


def saved(plan: Plan, results: Mapping[str, StoredResult], computed: Set[str]) -> Savings:
    """What sharing, caching and early stopping spared the study."""
    listed, uses = _entries(plan, results), _uses(plan)
    again = (entry for key, entry in listed.items() for _ in range(uses[key] - 1))
    found = (entry for key, entry in listed.items() if key not in computed)
    dropped = [stage for key, stage in plan.stages.items() if key not in plan.needed and key not in results]
    return Savings(total(again), total(found), _estimate(plan, dropped, listed.values()))


def _entries(plan: Plan, results: Mapping[str, StoredResult]) -> dict[str, Entry]:
    """By key, in the order of the plan."""
    stored = (results[key] for key in plan.stages if key in results)
    return {entry.key: entry for entry in entries(stored, plan.hints.days)}


def _uses(plan: Plan) -> Counter[str]:
    """Key → how many trials climb to it, as far as is decided."""
    return Counter(key for t in plan.trials for key in {s.key for rung in t.climbs(plan.decided) for s in rung.stages})


def _budget(stage: Stage) -> str:
    return f"{stage.amount:,} {stage.unit}" if stage.budget else ""


def _unit(plan: Plan, key: str) -> str:
    stage = plan.stages[key]
    if stage.items is not None:
        return plan.hints_of(key).item_unit
    return stage.unit if stage.budget else ""


def _estimate(plan: Plan, dropped: Iterable[Stage], known: Iterable[Entry]) -> Total:
    """By the mean rate of the same kind of stage in this study; unknown where none was computed."""
    alike: dict[tuple[str, bool], list[Entry]] = {}
    for entry in known:
        alike.setdefault((entry.stage, bool(entry.flops)), []).append(entry)
    kinds = {kind: (total(ours), sum(entry.work for entry in ours)) for kind, ours in alike.items()}
    spared = Total()
    for stage in dropped:
        sum_of_kind, work_of_kind = kinds.get((stage.name, bool(stage.flops)), (Total(), 0.0))
        work = (stage.flops or stage.amount) * (1 - plan.begins_at[stage.key] / stage.amount)
        spared += sum_of_kind.one_like(work / work_of_kind) if work_of_kind else Total().one_like(0.0)
    return spared
