"""The plots a sweep asks for under `report.plots`: a metric against a config path."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from assay.planning import Plan
from assay.report.figures import literal, new_figure, save
from assay.report.samples import safe_name
from assay.report.table import TrialResults
from assay.spec import Plot, Trial
from assay.spec.expand import at_path, in_words, short_names
from assay.workload import JSON, canonical_json

DPI = 110


@dataclass(frozen=True)
class Point:
    x: JSON
    y: float
    spread: float | None
    """Standard deviation over seeds, when there are several."""


def draw_plots(plan: Plan, trials: Sequence[TrialResults], folder: Path) -> list[Path]:
    """One picture a plot; a plot without points (the metric is not there yet) is left out."""
    drawn = []
    for plot in plan.sweep.report.plots:
        series = _series(plan, plot, trials)
        if series:
            path = folder / f"{safe_name(f'{plot.y}-by-{plot.x}-{plot.kind}')}.png"
            _draw(plan.sweep.name, plot, series, path)
            drawn.append(path)
    return drawn


def _series(plan: Plan, plot: Plot, trials: Sequence[TrialResults]) -> dict[str, list[Point]]:
    """What tells trials apart besides x → their points, in the order of the sweep; seeds become mean and spread."""
    values: dict[str, dict[str, list[float]]] = {}
    where: dict[str, JSON] = {}
    for trial in trials:
        leaf = trial.planned.result(trial.results)
        value = math.nan if leaf is None else leaf.metrics.get(plot.y, math.nan)
        if math.isfinite(value):
            x = at_path(trial.planned.trial.config, plot.x)
            where[canonical_json(x)] = x
            of_series = values.setdefault(_besides_x(plan, plot, trial.planned.trial), {})
            of_series.setdefault(canonical_json(x), []).append(value)
    return {
        label: [Point(where[x], fmean(ys), stdev(ys) if len(ys) > 1 else None) for x, ys in points.items()]
        for label, points in values.items()
    }


def _besides_x(plan: Plan, plot: Plot, trial: Trial) -> str:
    """The arm, unless x is all that it sets, and the other parameters."""
    sweep = plan.sweep
    of_arm = set(trial.overrides) - {*sweep.parameters, plan.workload.seed_path}
    says_more = trial.arm is not None and of_arm - {plot.x}
    short = short_names(list(sweep.parameters))
    varied = [path for path in sweep.parameters if path != plot.x and path in trial.overrides]
    others = [f"{short[path]} {in_words(trial.overrides[path])}" for path in varied]
    return ", ".join([*([str(trial.arm)] if says_more else []), *others])


def _draw(sweep: str, plot: Plot, series: dict[str, list[Point]], path: Path) -> None:
    values = [point.x for points in series.values() for point in points]
    is_numeric = plot.kind != "bar" and all(isinstance(x, int | float) and not isinstance(x, bool) for x in values)
    categories = list(dict.fromkeys(literal(in_words(x)) for x in values))
    figure = new_figure(max(6.0, 1.1 * len(categories)), 4.5, DPI, layout="constrained")
    axes: Any = figure.subplots()
    for number, (label, points) in enumerate(series.items()):
        xs = [float(p.x) if is_numeric else float(categories.index(literal(in_words(p.x)))) for p in points]
        ys = [p.y for p in points]
        spread = [p.spread or 0.0 for p in points] if any(p.spread for p in points) else None
        if plot.kind == "bar":
            width = 0.8 / len(series)
            offset = (number - (len(series) - 1) / 2) * width
            axes.bar([x + offset for x in xs], ys, yerr=spread, width=width * 0.95, label=literal(label))
        elif plot.kind == "line":
            order = sorted(range(len(xs)), key=xs.__getitem__)
            errors = None if spread is None else [spread[i] for i in order]
            axes.errorbar([xs[i] for i in order], [ys[i] for i in order], errors, marker="o", label=literal(label))
        else:
            axes.errorbar(xs, ys, spread, linestyle="none", marker="o", label=literal(label))
    if not is_numeric:
        long = max(len(name) for name in categories) > 10
        axes.set_xticks(
            range(len(categories)), categories, rotation=30 if long else 0, ha="right" if long else "center"
        )
    axes.set_xlabel(plot.x)
    axes.set_ylabel(plot.y)
    axes.set_title(f"{sweep}: {plot.y} by {plot.x}", loc="left", fontweight="bold")
    axes.grid(visible=True, axis="y", alpha=0.25)
    if len(series) > 1:
        figure.legend(loc="outside lower center", ncols=2, fontsize=9)
    save(figure, path)
