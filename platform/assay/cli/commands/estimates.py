"""What running a plan would take, in a few lines: the remaining work, how it was estimated, and what may change it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from assay.costs.availability import RowsState, StageStatus
from assay.costs.cost_estimate import CostEstimate, sum_of
from assay.costs.rates import NO_RATES, Rates
from assay.execution.limits import unpriced
from assay.planning import Plan
from assay.planning.promotion import expected_climbers
from assay.report.tables.costs import rates_in_words
from assay.sweep import Sweep
from assay.text import days, plural, took, usd
from assay.workload import Stage


def suggested_during_the_run(sweep: Sweep) -> str:
    searcher = sweep.searcher
    repeats = plural(len(sweep.design.arms) * len(sweep.seeds), "trial")
    return f"values are suggested as it goes: {searcher.num_trials} in batches of {searcher.batch}, each {repeats}."


def summary(plan: Plan, statuses: Mapping[str, StageStatus], rates: Rates = NO_RATES) -> list[str]:
    remaining = [status for status in statuses.values() if status.state not in ("stored", "dropped")]
    unshared = sum(len(trial.stages) for trial in plan.trials)
    lines = []
    if len(statuses) < unshared:
        lines.append(
            f"sharing: {len(statuses)} stages do the work of {unshared}; {unshared - len(statuses)} are saved."
        )
    if plan.sweep.searcher.facts.learns:
        lines.append(suggested_during_the_run(plan.sweep))
    if not remaining:
        return [*lines, "to do: nothing, every stage is stored."] if statuses else lines
    lines += _rows(remaining)
    cost, unit = sum_of(status.expected for status in remaining), plan.hints.days.name
    parts = [f"to do: {plural(round(cost.stages), 'stage')} of {len(statuses):,}"]
    if cost.device_days is not None:
        parts.append(f"{days(cost.device_days)} {unit}{_basis(cost)}{_besides(cost.unknown_days)}")
    if cost.seconds is not None:
        parts.append(f"{took(cost.seconds)} one after the other, by earlier results{_besides(cost.unknown_seconds)}")
    if rates:
        parts.append(
            "dollars unknown" if cost.usd is None else f"{usd(cost.usd)} by these prices{_besides(cost.unknown_usd)}"
        )
    prices = [f"{name}: {words}" for name, words in rates_in_words(rates, cost.devices)]
    return [*lines, *prices, "; ".join(parts) + ".", *_bounds(plan, cost, remaining, rates)]


def _rows(remaining: Sequence[StageStatus]) -> Iterator[str]:
    """Where rows were computed before: whether they are read, or computed again."""
    alike: dict[tuple[str, RowsState], dict[str, list[Stage]]] = {}
    for status in remaining:
        if (source := status.stage.rows) is not None and status.rows in ("stored", "computed again"):
            alike.setdefault((source.name, status.rows), {}).setdefault(source.key, []).append(status.stage)
    for (name, state), by_rows in alike.items():
        readers = " and ".join(dict.fromkeys(stage.name for stages in by_rows.values() for stage in stages))
        amount = sum(stages[0].amount for stages in by_rows.values())
        rows = f"{amount:,} {next(iter(by_rows.values()))[0].unit}"
        if state == "stored":
            yield f"{readers} reads the {rows} that {name} stored."
        else:
            yield f"{name} runs again: its {rows} were not stored, and {readers} needs them."


def _basis(cost: CostEstimate) -> str:
    """How the device-days were estimated: ", by FLOPs", or each of several ways with its number of stages."""
    if len(cost.by) == 1:
        return f", by {next(iter(cost.by))}"
    bases = (f"by {basis} for {plural(round(stages), 'stage')}" for basis, stages in sorted(cost.by.items()))
    return f", {' and '.join(bases)}"


def _bounds(plan: Plan, cost: CostEstimate, remaining: Sequence[StageStatus], rates: Rates) -> list[str]:
    """Which trials the estimate counts, and why the cost may be lower or the run stop earlier."""
    sweep, lines = plan.sweep, []
    scheduler = sweep.scheduler
    if scheduler.facts.keeps is not None and plan.trials:
        first, *others = zip(expected_climbers(plan), scheduler.rungs, strict=True)
        climbs = " and ".join(f"{count:,} to {amount:,}" for count, amount in others)
        lines.append(f"{scheduler.name} promotes, of {plural(first[0], 'trial')}, {climbs}: no others are counted.")
    elif scheduler.facts.races:
        lines.append(f"this is an upper bound: {scheduler.name} ends trials at their rungs.")
    if scheduler.target is not None:
        lines.append("this is an upper bound: a trial that reaches the target ends there.")
    if plan.waiting:
        lines.append(f"limits.trials is {sweep.limits.trials}: {plural(plan.waiting, 'more trial')} would wait.")
    unit, limit = plan.hints.days, sweep.limits.device_days
    if limit is not None and (cost.device_days or 0.0) > limit:
        lines.append(f"limits.{unit.field} is {days(limit)}: the run would pause there.")
    dollars = sweep.limits.usd
    if (message := unpriced(sweep, (status.stage for status in remaining), rates)) is not None:
        lines.append(f"limits.usd: {message}. Until then, a run is refused.")
    elif dollars is not None and (cost.usd or 0.0) > dollars:
        lines.append(f"limits.usd is {usd(dollars)}: the run would pause there.")
    return lines


def _besides(stages: float) -> str:
    return f", besides {plural(round(stages), 'stage')} of unknown cost" if round(stages) else ""
