"""The data of a plot: a metric over a config path, a rung, a cost or another metric, with the paper's numbers.

x may be a config path ("train.batch_size"), the scheduler's budget (a point per rung), "arm", another metric, or a
cost: "seconds" or device-days, in the workload's unit, of all stages of a trial so far, or of the stages of one name
("train.seconds").
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
from assay.results.reference import matching_row
from assay.sweep.expansion import in_words
from assay.sweep.search import same
from assay.workload import JSON, at_path, with_value


@dataclass(frozen=True)
class Point:
    x: JSON
    y: float
    error: float | None = None
    """Half the length of its error bar: the standard deviation over seeds, else half the 95% interval of sampling
    noise."""
    is_ranked: bool = True
    """False if it was measured under different conditions than the ranked trials."""
    label: str = ""
    """Distinguishes it from the other points of its line, if x does not."""
    seeds: int = 1
    """The number of seeds that it is the mean of."""


@dataclass
class Series:
    """A line of the plot, or bars of one colour."""

    label: str
    points: list[Point] = field(default_factory=list)
    paper: list[Point] = field(default_factory=list)
    ledger: list[Point] = field(default_factory=list)
    """The ledger's device-days, if y is a price."""
    trials: set[str] = field(default_factory=set)
    """The names of its trials."""


def errors_of(points: Sequence[Point]) -> list[float] | None:
    """Half the lengths of their error bars; None if no point has one."""
    return [point.error or 0.0 for point in points] if any(point.error for point in points) else None


def series_of(
    plan: Plan,
    x: str,
    y: str,
    trials: Sequence[TrialOutcome],
    unranked: frozenset[str],
    ledger: Mapping[str, float] = MappingProxyType({}),
) -> list[Series]:
    """The series in the order of the sweep; seeds are averaged.

    `unranked`: names of trials measured under different conditions. `ledger`: trial → the ledger's y.
    """
    reading = Reading.of(plan, x)
    groups: dict[str, dict[str, list[Measurement]]] = {}
    for measurement in reading.measurements(y, trials, unranked):
        of_series = groups.setdefault(reading.label(measurement.planned), {})
        of_series.setdefault(reading.place(measurement), []).append(measurement)
    every = []
    for label, places in groups.items():
        series = Series(label)
        for together in places.values():
            series.points.append(_point(reading, together))
            if (days := ledger.get(together[0].planned.name)) is not None:
                series.ledger.append(Point(series.points[-1].x, days))
            series.trials |= {measurement.planned.name for measurement in together}
            paper = _papers(reading, y, together[0])
            if paper is not None and not _has(series.paper, paper.x):
                series.paper.append(paper)
        series.paper += _papers_elsewhere(plan, x, y, [together[0] for together in places.values()], series)
        every.append(series)
    return every


def _point(reading: Reading, seeds: Sequence[Measurement]) -> Point:
    xs: list[Any] = [seed.x for seed in seeds]
    ys = [seed.estimate.value for seed in seeds]
    x = fmean(xs) if reading.is_measured else xs[0]
    error = stdev(ys) if len(ys) > 1 else seeds[0].estimate.half_width
    along = reading.along.get(seeds[0].planned.trial.arm)
    label = "" if along is None else in_words(at_path(seeds[0].config, along))
    return Point(x, fmean(ys), error, all(seed.is_ranked for seed in seeds), label, len(seeds))


def _papers(reading: Reading, y: str, ours: Measurement) -> Point | None:
    """The paper's numbers for the same config."""
    row = matching_row(reading.plan.sweep.reference, ours.config)
    if row is None or y not in row.metrics or (reading.is_measured and reading.x not in row.metrics):
        return None
    return Point(row.metrics[reading.x] if reading.is_measured else ours.x, row.metrics[y])


def _papers_elsewhere(plan: Plan, x: str, y: str, ours: Sequence[Measurement], series: Series) -> Iterator[Point]:
    """The paper's numbers for otherwise equal configs at values of x that this sweep does not have."""
    known = [*series.points, *series.paper]
    for row in plan.sweep.reference.rows:
        if x in row.when and y in row.metrics and not _has(known, row.when[x]):
            configs = [with_value(measurement.config, x, row.when[x]) for measurement in ours]
            if any(matching_row(plan.sweep.reference, config) is row for config in configs):
                yield Point(row.when[x], row.metrics[y])


def _has(points: Sequence[Point], x: JSON) -> bool:
    return any(same(point.x, x) for point in points)
