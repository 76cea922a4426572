"""The plots a sweep asks for under `report.plots`: a metric against a config path."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from assay.planning import Plan
from assay.report.figures import literal, new_figure, save
from assay.report.samples import safe_name
from assay.report.table import TrialResults
from assay.spec import Plot
from assay.spec.expand import at_path, in_words
from assay.workload import JSON

DPI = 110
Point = tuple[JSON, float]


def draw_plots(plan: Plan, trials: Sequence[TrialResults], folder: Path) -> list[Path]:
    """One picture a plot; a plot without points (the metric is not there yet) is left out."""
    drawn = []
    for plot in plan.sweep.report.plots:
        series = _series(plot, trials)
        if series:
            path = folder / f"{safe_name(f'{plot.y}-by-{plot.x}-{plot.kind}')}.png"
            _draw(plan.sweep.name, plot, series, path)
            drawn.append(path)
    return drawn


def _series(plot: Plot, trials: Sequence[TrialResults]) -> dict[str, list[Point]]:
    """Arm → its points, in the order of the sweep."""
    series: dict[str, list[Point]] = {}
    for trial in trials:
        leaf = trial.results.get(trial.planned.leaf.key)
        value = math.nan if leaf is None else leaf.metrics.get(plot.y, math.nan)
        if math.isfinite(value):
            about = trial.planned.trial
            series.setdefault(about.arm or "", []).append((at_path(about.config, plot.x), value))
    return series


def _draw(sweep: str, plot: Plot, series: dict[str, list[Point]], path: Path) -> None:
    values = [x for points in series.values() for x, _ in points]
    is_numeric = plot.kind != "bar" and all(isinstance(x, int | float) and not isinstance(x, bool) for x in values)
    categories = list(dict.fromkeys(literal(in_words(x)) for x in values))
    figure = new_figure(max(6.0, 1.1 * len(categories)), 4.5, DPI, layout="constrained")
    axes: Any = figure.subplots()
    for number, (arm, points) in enumerate(series.items()):
        xs = [float(x) if is_numeric else float(categories.index(literal(in_words(x)))) for x, _ in points]
        ys = [y for _, y in points]
        if plot.kind == "bar":
            width = 0.8 / len(series)
            offset = (number - (len(series) - 1) / 2) * width
            axes.bar([x + offset for x in xs], ys, width=width * 0.95, label=literal(arm))
        elif plot.kind == "line":
            order = sorted(range(len(xs)), key=xs.__getitem__)
            axes.plot([xs[i] for i in order], [ys[i] for i in order], marker="o", label=literal(arm))
        else:
            axes.scatter(xs, ys, label=literal(arm))
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
        axes.legend(fontsize=9)
    save(figure, path)
