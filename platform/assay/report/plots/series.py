"""What a plot shows: a metric against a config path, a rung, a cost or another metric, with the paper's numbers beside.

x may be a config path ("train.batch_size"), the scheduler's budget (a point a rung), "arm", another metric, or a
cost: "seconds" or device-days, as the workload calls them, of everything a trial needed so far; "train.seconds" of the
stages of one name alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev
from types import MappingProxyType
from typing import Any

from assay.planning import Plan
from assay.report.plots.reading import Measurement, Reading
from assay.results import TrialOutcome
from assay.results.reference import matching_row, same_value, with_value
from assay.sweep.expansion import at_path, in_words
from assay.workload import JSON


@dataclass(frozen=True)
class Point:
    x: JSON
    y: float
    error: float | None = None
    """Half the length of its error bar: the standard deviation over seeds, else the 95% interval of sampling noise."""
    is_ranked: bool = True
    """False where the table says that it was measured under other conditions than the ranked trials."""
    label: str = ""
    """What tells it from the other points of its line, where x does not."""
    seeds: int = 1
    """How many it is the mean of."""


@dataclass
class Series:
    """A line of the plot, or bars of one colour."""

    label: str
    points: list[Point] = field(default_factory=list)
    paper: list[Point] = field(default_factory=list)
    ledger: list[Point] = field(default_factory=list)
    """Where y is a price: what the ledger has of such work."""
    trials: set[str] = field(default_factory=set)
    """Whose results they are."""


def errors_of(points: Sequence[Point]) -> list[float] | None:
    """The lengths of their error bars; None where no point has one."""
    return [point.error or 0.0 for point in points] if any(point.error for point in points) else None


def series_of(
    plan: Plan,
    x: str,
    y: str,
    trials: Sequence[TrialOutcome],
    unranked: frozenset[str],
    ledger: Mapping[str, float] = MappingProxyType({}),
) -> list[Series]:
    """In the order of the sweep; seeds become one point.

    `unranked` names trials measured under other conditions. `ledger` has the ledger's y, by trial.
    """
    reading = Reading.of(plan, x)
    groups: dict[str, dict[str, list[Measurement]]] = {}
    for seen in reading.measurements(y, trials, unranked):
        of_series = groups.setdefault(reading.label(seen.planned), {})
        of_series.setdefault(reading.place(seen), []).append(seen)
    made = []
    for label, places in groups.items():
        series = Series(label)
        for together in places.values():
            series.points.append(_point(reading, together))
            if (days := ledger.get(together[0].planned.name)) is not None:
                series.ledger.append(Point(series.points[-1].x, days))
            series.trials |= {one.planned.name for one in together}
            paper = _papers(reading, y, together[0])
            if paper is not None and not _has(series.paper, paper.x):
                series.paper.append(paper)
        series.paper += _papers_elsewhere(plan, x, y, [together[0] for together in places.values()], series)
        made.append(series)
    return made


def _point(reading: Reading, seen: Sequence[Measurement]) -> Point:
    xs: list[Any] = [one.x for one in seen]
    ys = [one.estimate.value for one in seen]
    where = fmean(xs) if reading.is_measured else xs[0]
    error = stdev(ys) if len(ys) > 1 else seen[0].estimate.half_width
    label = "" if reading.along is None else in_words(at_path(seen[0].config, reading.along))
    return Point(where, fmean(ys), error, all(one.is_ranked for one in seen), label, len(seen))


def _papers(reading: Reading, y: str, seen: Measurement) -> Point | None:
    """What the paper reports for the same config."""
    row = matching_row(reading.plan.sweep.reference, seen.config)
    if row is None or y not in row.metrics or (reading.is_measured and reading.x not in row.metrics):
        return None
    return Point(row.metrics[reading.x] if reading.is_measured else seen.x, row.metrics[y])


def _papers_elsewhere(plan: Plan, x: str, y: str, seen: Sequence[Measurement], series: Series) -> Iterator[Point]:
    """What the paper reports at values of x that this sweep does not visit, where all else is the same."""
    known = [*series.points, *series.paper]
    for row in plan.sweep.reference.rows:
        if x in row.when and y in row.metrics and not _has(known, row.when[x]):
            configs = [with_value(one.config, x, row.when[x]) for one in seen]
            if any(matching_row(plan.sweep.reference, config) is row for config in configs):
                yield Point(row.when[x], row.metrics[y])


def _has(points: Sequence[Point], x: JSON) -> bool:
    return any(same_value(point.x, x) for point in points)
