"""What running a plan would take, in a few lines: how much is left, by which estimates, and what may change it."""

from __future__ import annotations

from collections.abc import Mapping

from assay.costs.availability import StageStatus
from assay.costs.estimates import CostEstimate, together
from assay.planning import Plan
from assay.planning.promotion import climbers, is_counted
from assay.sweep import Sweep
from assay.text import days, plural, took


def suggested_as_it_goes(sweep: Sweep) -> str:
    searcher = sweep.searcher
    repeats = plural(len(sweep.design.arms) * len(sweep.seeds), "trial")
    return f"values are suggested as it goes: {searcher.num_trials} in batches of {searcher.batch}, each {repeats}."


def summary(plan: Plan, statuses: Mapping[str, StageStatus]) -> list[str]:
    left = [status for status in statuses.values() if status.state not in ("stored", "dropped")]
    unshared = sum(len(trial.stages) for trial in plan.trials)
    lines = []
    if len(statuses) < unshared:
        lines.append(
            f"sharing: {len(statuses)} stages do the work of {unshared}; {unshared - len(statuses)} are saved."
        )
    if plan.sweep.searcher.facts.learns:
        lines.append(suggested_as_it_goes(plan.sweep))
    if not left:
        return [*lines, "to do: nothing, every stage is stored."] if statuses else lines
    cost = together(status.expected for status in left)
    parts = [f"to do: {plural(round(cost.stages), 'stage')} of {len(statuses):,}"]
    if cost.v100_days is not None:
        parts.append(f"{days(cost.v100_days)} V100-days{_basis(cost)}{_besides(cost.unknown_days)}")
    if cost.seconds is not None:
        parts.append(f"{took(cost.seconds)} one after the other, by earlier results{_besides(cost.unknown_seconds)}")
    return [*lines, "; ".join(parts) + ".", *_bounds(plan, cost)]


def _basis(cost: CostEstimate) -> str:
    """What the V100-days are estimated by: ", by FLOPs"; several, each with its stages."""
    if len(cost.by) == 1:
        return f", by {next(iter(cost.by))}"
    told = (f"by {basis} for {plural(round(stages), 'stage')}" for basis, stages in sorted(cost.by.items()))
    return f", {' and '.join(told)}"


def _bounds(plan: Plan, cost: CostEstimate) -> list[str]:
    """Which trials that counts, and why it may become less, or stop before."""
    sweep, lines = plan.sweep, []
    scheduler = sweep.scheduler
    if is_counted(plan) and plan.trials:
        first, *others = zip(climbers(plan), scheduler.rungs, strict=True)
        climbs = " and ".join(f"{count:,} to {amount:,}" for count, amount in others)
        lines.append(
            f"{scheduler.name} lets climb, of {plural(first[0], 'trial')}, {climbs}: no more than that is counted."
        )
    elif scheduler.facts.races:
        lines.append(f"that is the most it may take: {scheduler.name} ends trials at their rungs.")
    if scheduler.target is not None:
        lines.append("it takes less where a trial reaches the target, and climbs no further.")
    if plan.waiting:
        lines.append(f"limits.trials is {sweep.limits.trials}: {plural(plan.waiting, 'more trial')} would wait.")
    if sweep.limits.v100_days is not None and (cost.v100_days or 0.0) > sweep.limits.v100_days:
        lines.append(f"limits.v100_days is {days(sweep.limits.v100_days)}: it would pause there.")
    return lines


def _besides(stages: float) -> str:
    return f", besides {plural(round(stages), 'stage')} of unknown cost" if round(stages) else ""
