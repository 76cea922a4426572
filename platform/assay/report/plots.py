"""The plots a sweep asks for under `report.plots`: a panel a metric, the paper's numbers hollow beside ours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from assay.planning import Plan
from assay.report.axes import Axis, distinct_values, has_names, set_ticks
from assay.report.figures import COLORS, MARKERS, PLOT_DPI, literal, new_figure, save
from assay.report.reference import same_value
from assay.report.rows import Row
from assay.report.samples import safe_name
from assay.report.series import ARM, Point, Series, series_of
from assay.report.table import Table, TrialResults
from assay.report.words import decimals, metric
from assay.spec import Plot

PANEL = (6.4, 4.2)
"""Inches."""
CHARACTER, HEAD_CHARACTER = 0.06, 0.115
"""Inches: how wide one is at most, on an axis and in the title."""
PAST_THE_MARKS = 8
"""Points between the end of a bar, or a mark beyond it, and the bar's value."""
MOST_ACROSS = 2
MOST_VALUES_SHOWN = 24
MOST_UPRIGHT = 8
"""Bars that are wide enough for a number across."""
MOST_IN_LEGEND = 16
MOST_LINES = len(COLORS)
"""Of more, those of the best trials have a colour and a name, and the others are a grey crowd behind them."""
MOST_BARS = 40
"""Of more, those of the best trials are shown."""
CROWD = "#B8BEC6"
THE_OTHERS = "the other "
"""How the crowd is named; what follows is how many trials are in it."""
FADED = 0.35
PAPERS, LEDGERS = "paper's", "ledger's"


def draw_plots(plan: Plan, trials: Sequence[TrialResults], made: Table, folder: Path) -> tuple[list[Path], list[str]]:
    """One picture a plot, and a line for each metric that no result has along with its x."""
    unranked = frozenset(row.trial for row in made.rows if row.unranked)
    is_begun = any(row.estimates for row in made.rows)
    drawn: list[Path] = []
    lacking: list[str] = []
    for plot in plan.sweep.report.plots:
        panels: dict[str, list[Series]] = {}
        for y in plot.metrics:
            ledger = {row.trial: days for row in made.rows if (days := _by_ledger(row, y)) is not None}
            series = series_of(plan, plot.x, y, trials, unranked, ledger)
            if has_names(plot, series) and len(distinct_values(series)) > MOST_BARS:
                best = {row.trial for row in made.rows[:MOST_BARS]}
                series = series_of(plan, plot.x, y, [t for t in trials if t.planned.name in best], unranked, ledger)
                lacking.append(f"plotted of {y} by {plot.x}: the best {MOST_BARS} of {len(made.rows):,} trials")
            if series:
                panels[y] = series
            elif is_begun:
                lacking.append(f"not plotted: {y} by {plot.x}, since no result has them")
        if panels:
            drawn.append(_draw(plan, plot, panels, made, _file(plot, folder, drawn)))
    return drawn, lacking


def _by_ledger(row: Row, y: str) -> float | None:
    """None where not all of it is known."""
    return row.ledger[y].v100_days if y in row.ledger and not row.ledger[y].unknown else None


def _file(plot: Plot, folder: Path, taken: Sequence[Path]) -> Path:
    name = safe_name(f"{'-'.join(plot.metrics)}-by-{plot.x}-{plot.kind}")
    path = folder / f"{name}.png"
    return path if path not in taken else folder / f"{name}-{len(taken)}.png"


def _draw(plan: Plan, plot: Plot, panels: dict[str, list[Series]], made: Table, path: Path) -> Path:
    axis = Axis.of(plot, [series for panel in panels.values() for series in panel])
    across = min(MOST_ACROSS, len(panels))
    down = -(-len(panels) // across)
    width, height = PANEL
    if axis.is_sideways:
        height = max(height, 0.9 + 0.3 * len(axis.categories) * max(1, 0.6 * max(map(len, panels.values()))))
        width += CHARACTER * max(map(len, axis.categories))  # names take room from the bars otherwise
    elif axis.categories:
        width = max(width, 0.8 * len(axis.categories))
    title = f"{plan.sweep.name}: {', '.join(panels)} by {plot.x}"
    figure = new_figure(max(width * across, HEAD_CHARACTER * len(title)), height * down, PLOT_DPI, layout="constrained")
    figure.suptitle(literal(title), fontweight="bold", x=0.01, ha="left")
    grid = figure.subplots(down, across, squeeze=False).flatten()
    for axes, (y, series) in zip(grid, panels.items(), strict=False):
        _panel(axes, axis, plot, y, series, made)
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    _legend(figure, list(grid), [series for panel in panels.values() for series in panel])
    return save(figure, path)


def _legend(figure: Any, grid: Sequence[Any], series: Sequence[Series]) -> None:
    """One for all panels, where there is something to tell apart: our lines, the paper's, and the rest."""
    handles = {label: handle for axes in grid for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    is_faded = any(not point.is_ranked for one in series for point in one.points)
    if is_faded:
        from matplotlib.patches import Patch

        handles["measured otherwise, not ranked"] = Patch(color=COLORS[0], alpha=FADED)
    if len(handles) < 2 and not is_faded and not any(one.paper for one in series):
        return
    ours = [label for label in handles if PAPERS not in label and not label.startswith(THE_OTHERS)]
    rest = [label for label in handles if label not in ours]
    labels = [*ours, *rest][:MOST_IN_LEGEND]
    figure.legend([handles[label] for label in labels], labels, loc="outside lower center", ncols=2, fontsize=9)


def _panel(axes: Any, axis: Axis, plot: Plot, y: str, series: Sequence[Series], made: Table) -> None:
    front = _in_front(series, made) if plot.kind != "bar" else list(series)
    for one in series:
        if one not in front:
            _crowd(axes, axis, plot, one, f"{THE_OTHERS}{len(series) - len(front)}")
    for number, one in enumerate(front):
        color, marker = COLORS[number % len(COLORS)], MARKERS[number % len(MARKERS)]
        if plot.kind == "bar":
            _bars(axes, axis, one, number, len(front), color)
        else:
            _line(axes, axis, plot, one, color, marker)
    set_ticks(axes, axis, plot)
    name, value = ("x", "y") if not axis.is_sideways else ("y", "x")
    getattr(axes, f"set_{name}label")("" if plot.x == ARM else literal(axis.name))
    getattr(axes, f"set_{value}label")(literal(y))
    axes.grid(visible=True, axis=value if plot.kind == "bar" else "both", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)


def _bars(axes: Any, axis: Axis, series: Series, number: int, count: int, color: str) -> None:
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
        if axis.is_sideways and errors is None:
            for place, text, point in zip(places, shown, series.points, strict=True):
                beside = [one.y for one in (*series.paper, *series.ledger) if same_value(one.x, point.x)]
                end = (max(point.y, *beside, 0.0), place)
                axes.annotate(
                    text, end, (PAST_THE_MARKS, 0), textcoords="offset points", va="center_baseline", fontsize=8
                )
        else:  # in the middle of the bar: at its end are the error bar and the paper's number
            box = {"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 1.5}
            axes.bar_label(bars, shown, label_type="center", fontsize=8, rotation=90 if is_narrow else 0, bbox=box)
    for label, points, color in ((LEDGERS, series.ledger, "black"), (PAPERS, series.paper, "white")):
        if points:
            xs, ys = [axis.at(point.x) + offset for point in points], [point.y for point in points]
            marks = (ys, xs) if axis.is_sideways else (xs, ys)
            axes.scatter(*marks, marker="D", s=36, facecolor=color, edgecolor="black", zorder=3, label=label)


def _in_front(series: Sequence[Series], made: Table) -> list[Series]:
    """Of many lines those that the best trials are on."""
    if len(series) <= MOST_LINES:
        return list(series)
    place = {row.trial: number for number, row in enumerate(made.rows)}
    best = sorted(series, key=lambda one: min(place[trial] for trial in one.trials))[:MOST_LINES]
    return [one for one in series if one in best]


def _crowd(axes: Any, axis: Axis, plot: Plot, series: Series, label: str) -> None:
    points = sorted((axis.at(point.x), point.y) for point in series.points)
    line = "none" if plot.kind == "scatter" else "-"
    axes.plot(*zip(*points, strict=True), linestyle=line, marker=".", color=CROWD, linewidth=0.9, zorder=1, label=label)


def _line(axes: Any, axis: Axis, plot: Plot, series: Series, color: str, marker: str) -> None:
    points = series.points if any(p.label for p in series.points) else sorted(series.points, key=lambda p: axis.at(p.x))
    xs, ys = [axis.at(point.x) for point in points], [point.y for point in points]
    style = {"linestyle": "none" if plot.kind == "scatter" else "-", "capsize": 3, "color": color}
    drawn = axes.errorbar(xs, ys, _errors(points), marker=marker, label=_own_label(series), **style)
    for bar in (*drawn[1], *drawn[2]):  # of many lines at the same x the bars cover each other's points
        bar.set_alpha(0.45)
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
    if series.ledger:
        xs, ys = [axis.at(point.x) for point in series.ledger], [point.y for point in series.ledger]
        axes.scatter(xs, ys, marker=marker, s=36, facecolor="black", edgecolor=color, zorder=3, label=LEDGERS)


def _own_label(series: Series) -> str | None:
    return literal(series.label) or ("ours" if series.paper or series.ledger else None)


def _errors(points: Sequence[Point]) -> list[float] | None:
    return [point.error or 0.0 for point in points] if any(point.error for point in points) else None
