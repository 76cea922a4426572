"""A study's costs, stage by stage, and its savings by sharing, caching and early stopping."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

from assay.costs.ledger import Entry, Total, dollars, entries, mean_rate, total
from assay.costs.rates import NO_RATES, Rates
from assay.planning import Plan
from assay.planning.labels import serves
from assay.store import StoredResult
from assay.workload import ReportHints, Stage


@dataclass(frozen=True)
class Charge:
    """One stage: its line in the ledger, and the trials that it serves."""

    entry: Entry
    budget: str
    """ "5,000 rows"; empty for a stage without one."""
    serves: str
    trials: int
    unit: str
    """The unit of its items; empty for a stage without any."""
    is_found: bool
    """It was stored before any run of this study needed it."""


@dataclass(frozen=True)
class Savings:
    """Costs that the study avoided."""

    sharing: Total
    """Stages that several trials read, for every trial but one."""
    caching: Total
    """Stages that were stored before."""
    early_stopping: Total
    """Rungs that the scheduler skipped, estimated by the same kind of stage at other rungs."""


@dataclass(frozen=True)
class CostSheet:
    sweep: str
    hints: ReportHints
    charges: tuple[Charge, ...]
    """Every stored stage of the study once, inputs first."""
    total: Total
    """The cost of the stages that the study's own runs computed."""
    savings: Savings
    rates: Rates = NO_RATES
    """The prices that dollars are by."""


def cost_sheet(
    plan: Plan, results: Mapping[str, StoredResult], computed: Set[str], rates: Rates = NO_RATES
) -> CostSheet:
    """`results`: the stored ones by key. `computed`: the keys that the study's own runs computed."""
    listed = entries((results[key] for key in plan.stages if key in results), plan.hints.days)
    uses = Counter(stage.key for trial in plan.trials for stage in trial.climbed(plan.decided))
    charges = tuple(_charge(plan, entry, uses[entry.key], entry.key not in computed) for entry in listed)
    again = (charge.entry for charge in charges for _ in range(charge.trials - 1))
    dropped = (stage for key, stage in plan.stages.items() if key not in plan.needed and key not in results)
    found = (charge.entry for charge in charges if charge.is_found)
    savings = Savings(total(again, rates), total(found, rates), _estimate(plan, dropped, listed, rates))
    own = total((charge.entry for charge in charges if not charge.is_found), rates)
    return CostSheet(plan.sweep.name, plan.hints, charges, own, savings, rates)


def _charge(plan: Plan, entry: Entry, trials: int, is_found: bool) -> Charge:
    stage = plan.stages[entry.key]
    budget = f"{stage.amount:,} {stage.unit}" if stage.budget else ""
    return Charge(entry, budget, serves(plan, entry.key), trials, _unit(plan, entry.key), is_found)


def _unit(plan: Plan, key: str) -> str:
    stage = plan.stages[key]
    if stage.items is not None:
        return plan.hints_of(key).item_unit
    return stage.unit if stage.budget else ""


def _estimate(plan: Plan, dropped: Iterable[Stage], known: Iterable[Entry], prices: Rates) -> Total:
    """By the mean rates of the same kind of stage in this study; device-days and dollars are unknown if any of these
    are."""
    alike: dict[tuple[str, bool], list[Entry]] = {}
    for entry in known:
        alike.setdefault((entry.stage, bool(entry.flops)), []).append(entry)
    rates: dict[tuple[str, bool], tuple[float | None, float | None, float | None]] = {}
    """Kind of stage → device-seconds, device-days and dollars per unit of work."""
    for kind, ours in alike.items():
        declared = ours if all(entry.device_days is not None for entry in ours) else []
        priced = ours if all(dollars(entry, prices) is not None for entry in ours) else []
        rates[kind] = (
            mean_rate(ours, lambda e: e.device_seconds, lambda e: e.work),
            mean_rate(declared, lambda e: e.device_days, lambda e: e.work),
            mean_rate(priced, lambda e: dollars(e, prices), lambda e: e.work),
        )
    skipped = Total()
    for stage in dropped:
        work = (stage.flops or stage.amount) * (1 - plan.begins_at[stage.key] / stage.amount)
        each = rates.get((stage.name, bool(stage.flops)), (None, None, None))
        seconds, days, usd = (None if rate is None else rate * work for rate in each)
        skipped += Total.of_stage(seconds or 0.0, days, usd)
    return skipped
