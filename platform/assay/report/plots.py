"""The plots a sweep asks for under `report.plots`: a panel a metric, the paper's numbers hollow beside ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.planning import Plan
from assay.report.figures import COLORS, MARKERS, PLOT_DPI, literal, new_figure, save
from assay.report.samples import safe_name
from assay.report.series import ARM, Point, Series, is_cost, series_of
from assay.report.table import Table, TrialResults
from assay.report.words import decimals, metric
from assay.spec import Plot
from assay.spec.expand import in_words
from assay.workload import JSON

PANEL = (6.4, 4.2)
"""Inches."""
MOST_ACROSS = 2
LONG_NAME = 10
"""Characters: bars with longer names lie on their side."""
MOST_VALUES_SHOWN = 24
MOST_UPRIGHT = 8
"""Bars that are wide enough for a number across."""
MOST_TICKS = 10
MANY = 10_000
"""From here on numbers on an axis are short: 250k, 4.36M."""
MOST_IN_LEGEND = 16
FADED = 0.35
PAPERS = "paper's"
HOUR_S = 3600


def draw_plots(plan: Plan, trials: Sequence[TrialResults], made: Table, folder: Path) -> tuple[list[Path], list[str]]:
    """One picture a plot, and a line for each metric that no result has along with its x."""
    unranked = frozenset(row.trial for row in made.rows if row.unranked)
    is_begun = any(row.estimates for row in made.rows)
    drawn: list[Path] = []
    lacking: list[str] = []
    for plot in plan.sweep.report.plots:
        panels: dict[str, list[Series]] = {}
        for y in plot.metrics:
            series = series_of(plan, plot.x, y, trials, unranked)
            if series:
                panels[y] = series
            elif is_begun:
                lacking.append(f"not plotted: {y} by {plot.x}, since no result has them")
        if panels:
            drawn.append(_draw(plan, plot, panels, _file(plot, folder, drawn)))
    return drawn, lacking


def _file(plot: Plot, folder: Path, taken: Sequence[Path]) -> Path:
    name = safe_name(f"{'-'.join(plot.metrics)}-by-{plot.x}-{plot.kind}")
    path = folder / f"{name}.png"
    return path if path not in taken else folder / f"{name}-{len(taken)}.png"


def _draw(plan: Plan, plot: Plot, panels: dict[str, list[Series]], path: Path) -> Path:
    axis = _Axis.of(plot, [series for panel in panels.values() for series in panel])
    across = min(MOST_ACROSS, len(panels))
    down = -(-len(panels) // across)
    width, height = PANEL
    if axis.is_sideways:
        height = max(height, 0.9 + 0.3 * len(axis.categories) * max(1, 0.6 * max(map(len, panels.values()))))
    elif axis.categories:
        width = max(width, 0.8 * len(axis.categories))
    figure = new_figure(width * across, height * down, PLOT_DPI, layout="constrained")
    title = f"{plan.sweep.name}: {', '.join(panels)} by {plot.x}"
    figure.suptitle(literal(title), fontweight="bold", x=0.01, ha="left")
    grid = figure.subplots(down, across, squeeze=False).flatten()
    for axes, (y, series) in zip(grid, panels.items(), strict=False):
        _panel(axes, axis, plot, y, series)
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    handles = {label: handle for axes in grid for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    if len(handles) > 1 or any(series.paper for panel in panels.values() for series in panel):
        shown = sorted(handles.items(), key=lambda item: PAPERS in item[0])[:MOST_IN_LEGEND]
        figure.legend(
            [handle for _, handle in shown],
            [label for label, _ in shown],
            loc="outside lower center",
            ncols=2,
            fontsize=9,
        )
    return save(figure, path)


@dataclass(frozen=True)
class _Axis:
    """Where values of x are: numbers at themselves, anything else one after the other."""

    name: str
    categories: tuple[str, ...]
    """Empty for numbers."""
    ticks: tuple[float, ...]
    is_sideways: bool
    scale: float
    """What numbers are divided by: seconds become hours where they are many."""

    @classmethod
    def of(cls, plot: Plot, series: Sequence[Series]) -> _Axis:
        values = [point.x for one in series for point in (*one.points, *one.paper)]
        is_numeric = plot.kind != "bar" and all(isinstance(x, int | float) and not isinstance(x, bool) for x in values)
        if not is_numeric:
            names = dict.fromkeys(in_words(x) for x in _in_order(values))
            is_long = max(len(name) for name in names) > LONG_NAME
            return cls(plot.x, tuple(names), (), plot.kind == "bar" and is_long, 1.0)
        if not is_cost(plot.x):
            return cls(plot.x, (), tuple(sorted(set(map(float, values)))), False, 1.0)
        is_long = plot.x.endswith("seconds") and max(values) > 2 * HOUR_S
        return cls(
            f"{plot.x.removesuffix('seconds')}hours" if is_long else plot.x, (), (), False, HOUR_S if is_long else 1
        )

    def at(self, x: JSON) -> float:
        return float(self.categories.index(in_words(x))) if self.categories else float(x) / self.scale


def _in_order(values: Sequence[JSON]) -> list[JSON]:
    """Numbers by size; anything else as the sweep has it."""
    if all(isinstance(x, int | float) and not isinstance(x, bool) for x in values):
        return sorted(values)
    return list(values)


def _panel(axes: Any, axis: _Axis, plot: Plot, y: str, series: Sequence[Series]) -> None:
    for number, one in enumerate(series):
        color, marker = COLORS[number % len(COLORS)], MARKERS[number % len(MARKERS)]
        if plot.kind == "bar":
            _bars(axes, axis, one, number, len(series), color)
        else:
            _line(axes, axis, plot, one, color, marker)
    _ticks(axes, axis, plot)
    name, value = ("x", "y") if not axis.is_sideways else ("y", "x")
    getattr(axes, f"set_{name}label")("" if plot.x == ARM else literal(axis.name))
    getattr(axes, f"set_{value}label")(literal(y))
    axes.grid(visible=True, axis=value if plot.kind == "bar" else "both", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)


def _bars(axes: Any, axis: _Axis, series: Series, number: int, count: int, color: str) -> None:
    width = 0.8 / count
    offset = (number - (count - 1) / 2) * width
    places = [axis.at(point.x) + offset for point in series.points]
    heights = [point.y for point in series.points]
    errors = _errors(series.points)
    draw, error_name = (axes.barh, "xerr") if axis.is_sideways else (axes.bar, "yerr")
    size = {"height" if axis.is_sideways else "width": width * 0.92}
    label = _own_label(series)
    bars = draw(
        places, heights, **size, **{error_name: errors}, label=label, color=color, error_kw={"capsize": 3, "lw": 1.2}
    )
    for bar, point in zip(bars, series.points, strict=True):
        bar.set_alpha(1.0 if point.is_ranked else FADED)
    if len(series.points) * count <= MOST_VALUES_SHOWN:
        shown = [metric(height, decimals(heights)) for height in heights]
        is_narrow = not axis.is_sideways and count * len(axis.categories) > MOST_UPRIGHT
        # In the middle of the bar: at its end are the error bar and the paper's number.
        box = {"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 1.5}
        axes.bar_label(bars, shown, label_type="center", fontsize=8, rotation=90 if is_narrow else 0, bbox=box)
    papers = [(axis.at(point.x) + offset, point.y) for point in series.paper]
    if papers:
        xs, ys = zip(*papers, strict=True)
        marks = (ys, xs) if axis.is_sideways else (xs, ys)
        axes.scatter(*marks, marker="D", s=36, facecolor="white", edgecolor="black", zorder=3, label=PAPERS)


def _line(axes: Any, axis: _Axis, plot: Plot, series: Series, color: str, marker: str) -> None:
    points = series.points if any(p.label for p in series.points) else sorted(series.points, key=lambda p: axis.at(p.x))
    xs, ys = [axis.at(point.x) for point in points], [point.y for point in points]
    style = {"linestyle": "none" if plot.kind == "scatter" else "-", "capsize": 3, "color": color}
    axes.errorbar(xs, ys, _errors(points), marker=marker, label=_own_label(series), **style)
    for x, point in zip(xs, points, strict=True):
        if not point.is_ranked:
            axes.plot([x], [point.y], marker=marker, color="white", alpha=1 - FADED, zorder=4)
        if point.label:
            axes.annotate(literal(point.label), (x, point.y), (4, 4), textcoords="offset points", fontsize=8)
    papers = sorted((axis.at(point.x), point.y) for point in series.paper)
    if papers:
        line = "none" if plot.kind == "scatter" else "--"
        label = f"{literal(series.label)} ({PAPERS})" if series.label else PAPERS
        axes.plot(
            *zip(*papers, strict=True), linestyle=line, marker=marker, color=color, markerfacecolor="white", label=label
        )


def _own_label(series: Series) -> str | None:
    return literal(series.label) or ("ours" if series.paper else None)


def _errors(points: Sequence[Point]) -> list[float] | None:
    return [point.error or 0.0 for point in points] if any(point.error for point in points) else None


def _ticks(axes: Any, axis: _Axis, plot: Plot) -> None:
    if axis.categories:
        names, places = [literal(name) for name in axis.categories], range(len(axis.categories))
        if axis.is_sideways:
            axes.set_yticks(places, names)
            axes.invert_yaxis()
        else:
            is_long = max(map(len, names)) > LONG_NAME
            axes.set_xticks(places, names, rotation=30 if is_long else 0, ha="right" if is_long else "center")
    elif "x" in plot.log:
        _log(axes, "x", axis.ticks)
        if 0 < len(axis.ticks) <= MOST_TICKS:
            axes.set_xticks(axis.ticks, [_short(tick) for tick in axis.ticks])
            axes.minorticks_off()
    elif max(axis.ticks, default=0) >= MANY:
        axes.xaxis.set_major_formatter(lambda value, position: _short(value))
    if "y" in plot.log:
        _log(axes, "x" if axis.is_sideways else "y", ())


def _short(value: float) -> str:
    """250k, 4.36M"""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= max(size, MANY):
            return f"{value / size:.3g}{unit}"
    return f"{value:g}"


def _log(axes: Any, name: str, values: Sequence[float]) -> None:
    """Logarithmic; with a zero among the values, linear below the smallest of the others."""
    positive = [value for value in values if value > 0]
    if len(positive) < len(values) and positive:
        getattr(axes, f"set_{name}scale")("symlog", linthresh=min(positive), linscale=0.5)
    else:
        getattr(axes, f"set_{name}scale")("log")
    getattr(axes, f"{name}axis").set_major_formatter("{x:g}")  # 0.1, where the default writes 10⁻¹
