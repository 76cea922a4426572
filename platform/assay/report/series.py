"""What a plot shows: a metric against a config path, a rung, a cost or another metric, with the paper's numbers beside.

x may be a config path ("sample.guidance_scale"), the scheduler's budget (a point a rung), "arm", another metric, or a
cost: "seconds" or "v100_days" of everything a trial needed so far, "train.seconds" of the stages of one name alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev
from types import MappingProxyType
from typing import Any

from assay.ledger import entries, total
from assay.planning import Plan, PlannedTrial, Rung
from assay.report.estimates import Estimate, read_estimates
from assay.report.reference import config_at, matching_row, same_value, with_value
from assay.report.table import TrialResults
from assay.spec.expand import at_path, in_words, short_names
from assay.store import StoredResult
from assay.workload import JSON, canonical_json

ARM = "arm"
COSTS = ("seconds", "v100_days")


@dataclass(frozen=True)
class Point:
    x: JSON
    y: float
    error: float | None = None
    """Half the length of its error bar: the standard deviation over seeds, else the 95% interval of sampling noise."""
    is_ranked: bool = True
    """False where the table says that it was measured otherwise than the ranked trials."""
    label: str = ""
    """What tells it from the other points of its line, where x does not."""


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


@dataclass(frozen=True)
class _Observation:
    """One trial at one rung."""

    planned: PlannedTrial
    config: Mapping[str, JSON]
    x: JSON
    estimate: Estimate
    is_ranked: bool


def series_of(
    plan: Plan,
    x: str,
    y: str,
    trials: Sequence[TrialResults],
    unranked: frozenset[str],
    ledger: Mapping[str, float] = MappingProxyType({}),
) -> list[Series]:
    """In the order of the sweep; seeds become one point. `unranked` names trials that were measured otherwise; `ledger`
    has what it says of y, by trial."""
    groups: dict[str, dict[str, list[_Observation]]] = {}
    for seen in _observations(plan, x, y, trials, unranked):
        of_series = groups.setdefault(_label(plan, x, seen.planned), {})
        of_series.setdefault(_place(plan, x, seen), []).append(seen)
    made = []
    for label, places in groups.items():
        series = Series(label)
        for together in places.values():
            series.points.append(_point(plan, x, together))
            if (days := ledger.get(together[0].planned.name)) is not None:
                series.ledger.append(Point(series.points[-1].x, days))
            series.trials |= {one.planned.name for one in together}
            paper = _papers(plan, x, y, together[0])
            if paper is not None and not _has(series.paper, paper.x):
                series.paper.append(paper)
        series.paper += _papers_elsewhere(plan, x, y, [together[0] for together in places.values()], series)
        made.append(series)
    return made


def is_rung(plan: Plan, x: str) -> bool:
    return x == plan.sweep.scheduler.budget and len(plan.sweep.scheduler.rungs) > 0


def is_cost(x: str) -> bool:
    return x.rpartition(".")[2] in COSTS


def _observations(
    plan: Plan, x: str, y: str, trials: Sequence[TrialResults], unranked: frozenset[str]
) -> Iterator[_Observation]:
    climbs = is_rung(plan, x) or is_cost(x)
    for trial in trials:
        planned = trial.planned
        top = planned.reached(trial.results)
        rungs = [r for r in planned.rungs if r.leaf.key in trial.results] if climbs else [top[0]] if top else []
        for rung in rungs:
            leaf = trial.results[rung.leaf.key]
            estimate = read_estimates(leaf).get(y, Estimate(math.nan))
            value = _x_of(plan, x, trial, rung, leaf)
            if math.isfinite(estimate.value) and value is not None:
                is_ranked = climbs or planned.name not in unranked
                yield _Observation(planned, config_at(plan, planned, rung), value, estimate, is_ranked)


def _x_of(plan: Plan, x: str, trial: TrialResults, rung: Rung, leaf: StoredResult) -> JSON:
    """None where it is not known."""
    about = trial.planned.trial
    if x == ARM:
        return about.arm or about.name
    if is_rung(plan, x):
        return rung.amount
    if is_cost(x):
        return _cost(x, trial, rung)
    value = at_path(about.config, x)
    if value is None and x in leaf.metrics:
        value = leaf.metrics[x]
        return value if math.isfinite(value) else None
    return value


def _cost(x: str, trial: TrialResults, rung: Rung) -> float | None:
    """Of what the trial needed up to a rung; None on devices that are not declared."""
    name, _, what = x.rpartition(".")
    climbed = trial.planned.rungs[: trial.planned.rungs.index(rung) + 1]
    keys = {s.key for r in climbed for s in r.stages if (not name or s.name == name) and s.key in trial.results}
    if not keys:
        return None
    results = [trial.results[key] for key in keys]
    if what == "seconds":
        return sum(result.cost.seconds for result in results)
    spent = total(entries(results))
    return spent.v100_days if spent.unknown < spent.stages else None


def _label(plan: Plan, x: str, planned: PlannedTrial) -> str:
    """What tells its line from the others: its arm, unless x is all that arms set, and its other parameters."""
    trial, short = planned.trial, short_names(list(plan.sweep.parameters))
    of_arm = set(trial.overrides) - {*plan.sweep.parameters, plan.workload.seed_path}
    says_more = trial.arm is not None and x != ARM and of_arm - {x}
    others = [path for path in plan.sweep.parameters if path not in (x, _along(plan, x)) and path in trial.overrides]
    told = [f"{short[path]} {in_words(trial.overrides[path])}" for path in others]
    return ", ".join([*([str(trial.arm)] if says_more else []), *told])


def _along(plan: Plan, x: str) -> str | None:
    """The parameter that a line follows where x itself is measured: the last one, if there are no rungs to follow."""
    is_measured = is_cost(x) or (x != ARM and at_path(plan.trials[0].trial.config, x) is None)
    if not is_measured or (is_cost(x) and len(plan.trials[0].rungs) > 1):
        return None
    return next(reversed(list(plan.sweep.parameters)), None)


def _place(plan: Plan, x: str, seen: _Observation) -> str:
    """What observations of one point have in common: all but the seed."""
    if is_cost(x) and len(seen.planned.rungs) > 1:
        return canonical_json(at_path(seen.config, plan.sweep.scheduler.budget or ""))
    along = _along(plan, x)
    return canonical_json(seen.x if along is None else at_path(seen.config, along))


def _point(plan: Plan, x: str, seen: Sequence[_Observation]) -> Point:
    ys = [one.estimate.value for one in seen]
    along = _along(plan, x)
    xs: list[Any] = [one.x for one in seen]
    where = fmean(xs) if along is not None or is_cost(x) else xs[0]
    error = stdev(ys) if len(ys) > 1 else seen[0].estimate.half_width
    label = "" if along is None else in_words(at_path(seen[0].config, along))
    return Point(where, fmean(ys), error, all(one.is_ranked for one in seen), label)


def _papers(plan: Plan, x: str, y: str, seen: _Observation) -> Point | None:
    """What the paper reports for the same config."""
    row = matching_row(plan.sweep.reference, seen.config)
    if row is None or y not in row.metrics:
        return None
    is_measured = is_cost(x) or _along(plan, x) is not None
    where = row.metrics.get(x) if is_measured else seen.x
    return None if where is None else Point(where, row.metrics[y])


def _papers_elsewhere(plan: Plan, x: str, y: str, seen: Sequence[_Observation], series: Series) -> Iterator[Point]:
    """What the paper reports at values of x that this sweep does not visit, where all else is the same."""
    known = [*series.points, *series.paper]
    for row in plan.sweep.reference.rows:
        if x in row.when and y in row.metrics and not _has(known, row.when[x]):
            configs = [with_value(one.config, x, row.when[x]) for one in seen]
            if any(matching_row(plan.sweep.reference, config) is row for config in configs):
                yield Point(row.when[x], row.metrics[y])


def _has(points: Sequence[Point], x: JSON) -> bool:
    return any(same_value(point.x, x) for point in points)
