"""What running a plan would take, in a few lines: how much is left, by which estimates, and what may change it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from assay.costs.availability import StageStatus
from assay.planning import Plan
from assay.planning.promotion import climbers, is_counted
from assay.sweep import Sweep
from assay.text import days, plural, took


@dataclass(frozen=True)
class Sum:
    """Estimates of several stages, each as far as it is likely to be needed.

    `unknown` counts those without one: a sum that hides them would be a lie.
    """

    total: float
    count: int
    unknown: int
    is_known: bool
    """In part at least."""

    @classmethod
    def of(cls, estimates: Iterable[tuple[float | None, float]]) -> Sum:
        """Of (estimate, chance)."""
        listed = list(estimates)
        known = [value * chance for value, chance in listed if value is not None]
        unknown = sum(chance for value, chance in listed if value is None)
        return cls(sum(known), round(sum(chance for _, chance in listed)), round(unknown), bool(known))

    @classmethod
    def of_days(cls, statuses: Iterable[StageStatus]) -> Sum:
        return cls.of((status.v100_days, status.chance) for status in statuses)

    @classmethod
    def of_seconds(cls, statuses: Iterable[StageStatus]) -> Sum:
        return cls.of((status.seconds, status.chance) for status in statuses)


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
    cost, time = Sum.of_days(left), Sum.of_seconds(left)
    parts = [f"to do: {plural(cost.count, 'stage')} of {len(statuses):,}"]
    if cost.is_known:
        parts.append(f"{days(cost.total)} V100-days{_basis(left)}{_besides(cost)}")
    if time.is_known:
        parts.append(f"{took(time.total)} one after the other, by earlier results{_besides(time)}")
    return [*lines, "; ".join(parts) + ".", *_bounds(plan, cost)]


def _basis(left: Sequence[StageStatus]) -> str:
    """What the V100-days are estimated by: ", by FLOPs"; several, each with its stages."""
    known = {status.basis: 0.0 for status in left if status.basis is not None}
    for status in left:
        if status.basis is not None:
            known[status.basis] += status.chance
    if len(known) == 1:
        return f", by {next(iter(known))}"
    told = (f"by {basis} for {plural(round(count), 'stage')}" for basis, count in sorted(known.items()))
    return f", {' and '.join(told)}"


def _bounds(plan: Plan, cost: Sum) -> list[str]:
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
    if sweep.limits.v100_days is not None and cost.total > sweep.limits.v100_days:
        lines.append(f"limits.v100_days is {days(sweep.limits.v100_days)}: it would pause there.")
    return lines


def _besides(part: Sum) -> str:
    return f", besides {plural(part.unknown, 'stage')} of unknown cost" if part.unknown else ""
