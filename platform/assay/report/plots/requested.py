"""The plots that a sweep requests under `report.plots`: a panel per metric, with the paper's numbers hollow."""

from __future__ import annotations

import textwrap
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from assay.planning import Plan
from assay.report.figures import (
    COLORS,
    HEAD_CHARACTER,
    PLOT_DPI,
    inches_wide,
    literal,
    new_figure,
    save,
    shortened,
    without_glyph_warnings,
)
from assay.report.omissions import Omissions
from assay.report.pictures.samples import safe_name
from assay.report.plots.axes import Axis, Seats, has_names
from assay.report.plots.panels import FADED, PAPERS, THE_OTHERS, draw_panel
from assay.report.plots.reading import is_cost
from assay.report.plots.series import Series, series_of
from assay.report.plots.trials import draw_trials
from assay.results import Table, TrialOutcome
from assay.results.rows import Row
from assay.sweep import Plot
from assay.sweep.plot_kinds import METRICS
from assay.workload import canonical_json

PANEL = (6.4, 4.2)
"""Inches."""
MOST_PANEL, MOST_HEIGHT = 16.0, 40.0
"""Inches: largest width or height of a panel without its names, and largest height of a picture."""
SLANTED = 1.2
"""Inches: length of a slanted name that fits into a panel."""
HEAD_CHARACTERS = 110
"""The longest line of a title."""
LEGEND_HEIGHT = 0.8
"""Inches: height of a legend that fits into a panel; a higher one makes the picture higher."""
MOST_ACROSS = 2
MOST_IN_LEGEND = 48
MOST_BARS = 40
"""With more bars, those of the best trials are shown."""


def draw_plots(
    plan: Plan, trials: Sequence[TrialOutcome], table: Table, folder: Path, omissions: Omissions
) -> list[Path]:
    """One picture per plot; metrics without any result are noted as omissions."""
    drawn: list[Path] = []
    for plot in (each.with_objectives(plan.sweep.objectives) for each in plan.sweep.report.plots):
        file = _file(plot, plot.metrics or (plan.sweep.objective.name,), folder, drawn)
        draw = partial(draw_trials, plan, plot, trials, file, omissions)
        if plot.facts.of == "series":
            draw = partial(_plot, plan, plot, trials, table, file, omissions)
        picture = omissions.picture(file, draw)
        drawn += [] if picture is None else [picture]
    return drawn


def _file(plot: Plot, metrics: Sequence[str], folder: Path, taken: Sequence[Path]) -> Path:
    settings = [name for _, takes, name in plot.entries if takes not in METRICS]
    by = f"-by-{'-'.join(settings)}" if settings else ""
    name = safe_name(f"{'-'.join(metrics)}{by}-{plot.kind}")
    path = folder / f"{name}.png"
    return path if path not in taken else folder / f"{name}-{len(taken)}.png"


def _plot(
    plan: Plan, plot: Plot, trials: Sequence[TrialOutcome], table: Table, file: Path, omissions: Omissions
) -> Path | None:
    """None if there is nothing to show."""
    is_begun = any(row.estimates for row in table.rows)
    panels: dict[str, list[Series]] = {}
    for y in plot.metrics or (plan.sweep.objective.name,):
        series = _series(plan, plot, y, trials, table, omissions)
        if series:
            panels[y] = series
        elif is_begun:
            omissions.note(f"not plotted: {y} by {plot.along}, since no result has them")
    return _draw(plan, plot, panels, table, file) if panels else None


def _series(
    plan: Plan, plot: Plot, y: str, trials: Sequence[TrialOutcome], table: Table, omissions: Omissions
) -> list[Series]:
    """All series, or if there are too many bars, those of the best trials, or of the best arms over seeds."""
    unranked = frozenset(row.trial for row in table.rows if row.unranked)
    ledger = {row.trial: days for row in table.rows if (days := _by_ledger(row, y)) is not None}
    arm_of = {row.trial: row.arm_name for row in table.rows}
    best = list(dict.fromkeys([*(arm.name for arm in table.arms), *arm_of.values()]))

    def of_best(count: int) -> list[Series]:
        kept = set(best[:count])
        some = [trial for trial in trials if arm_of[trial.planned.name] in kept]
        return series_of(plan, plot.of_x.name, y, some, unranked, ledger)

    series = of_best(len(best))
    if _num_bars(plot, series) <= MOST_BARS or len(best) == 1:
        return series
    counts = range(1, MOST_BARS + 1)
    shown = max(1, bisect_right(counts, MOST_BARS, key=lambda count: _num_bars(plot, of_best(count))))
    noun = "arms" if table.arms else "trials"
    omissions.note(f"plotted of {y} by {plot.along}: the best {shown} of {len(best):,} {noun}")
    return [_where_ours_are(best_series) for best_series in of_best(shown)]


def _num_bars(plot: Plot, series: Sequence[Series]) -> int:
    """The number of bars, or for lines, of names along the axis."""
    if not has_names(plot, series):
        return 0
    values = [canonical_json(point.x) for each in series for point in each.points]
    return len(values) if plot.facts.x == "names" else len(set(values))


def _where_ours_are(series: Series) -> Series:
    """The series without the paper's numbers at other x, for which there is no room."""
    ours = {canonical_json(point.x) for point in series.points}
    return replace(series, paper=[point for point in series.paper if canonical_json(point.x) in ours])


def _by_ledger(row: Row, y: str) -> float | None:
    """The ledger's device-days for a price; None unless all of them are known."""
    return row.ledger[y].device_days if y in row.ledger and not row.ledger[y].unknown else None


def _draw(plan: Plan, plot: Plot, panels: dict[str, list[Series]], table: Table, file: Path) -> Path:
    short = shortened(series.label for panel in panels.values() for series in panel)
    panels = {y: [replace(series, label=short[series.label]) for series in panel] for y, panel in panels.items()}
    every = [series for panel in panels.values() for series in panel]
    axis = Axis.of(plot, every, is_cost=is_cost(plan, plot.of_x.name))
    across = min(MOST_ACROSS, len(panels))
    down = -(-len(panels) // across)
    width, height = _panel_size(axis, max(Seats.of(axis, panel).most for panel in panels.values()))
    title = textwrap.wrap(f"{plan.sweep.name}: {', '.join(panels)} by {plot.along}", HEAD_CHARACTERS)
    size = max(width * across, HEAD_CHARACTER * max(map(len, title))), min(height * down, MOST_HEIGHT)
    figure = new_figure(*size, PLOT_DPI, layout="constrained")
    figure.suptitle(literal("\n".join(title)), fontweight="bold", x=0.01, ha="left")
    grid = figure.subplots(down, across, squeeze=False).flatten()
    for axes, (y, series) in zip(grid, panels.items(), strict=False):
        draw_panel(axes, axis, plot, y, series, table)
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    _legend(figure, list(grid), every)
    return save(figure, file)


def _panel_size(axis: Axis, most_bars: int) -> tuple[float, float]:
    """Width and height in inches, for this many bars per x, with additional room for names."""
    width, height = PANEL
    if not axis.names:
        return PANEL
    longest = inches_wide(axis.names)
    if axis.is_sideways:
        needed = 0.9 + 0.3 * len(axis.names) * max(1, 0.6 * most_bars)
        return width + longest, min(max(height, needed), MOST_PANEL)
    beyond = max(0.0, longest - SLANTED) if axis.is_slanted else 0.0
    return min(max(width, 0.8 * len(axis.names)), MOST_PANEL) + beyond * 0.87, height + beyond * 0.5


def _legend(figure: Any, grid: Sequence[Any], series: Sequence[Series]) -> None:
    """Draw one legend for all panels, unless there is a single line: our lines, then the paper's and the others."""
    handles = {label: handle for axes in grid for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    is_faded = any(not point.is_ranked for each in series for point in each.points)
    if is_faded:
        from matplotlib.patches import Patch

        handles["not ranked: other conditions"] = Patch(color=COLORS[0], alpha=FADED)
    if len(handles) < 2 and not is_faded and not any(each.paper for each in series):
        return
    ours = [label for label in handles if PAPERS not in label and not label.startswith(THE_OTHERS)]
    rest = [label for label in handles if label not in ours]
    labels = [*ours, *rest][:MOST_IN_LEGEND]
    for columns in (2, 1):
        place = {"loc": "outside lower center", "ncols": columns, "fontsize": 9}
        legend = figure.legend([handles[label] for label in labels], labels, **place)
        with without_glyph_warnings():
            needed = legend.get_window_extent()
        if needed.width <= figure.bbox.width - 0.2 * figure.dpi or columns == 1:
            break
        legend.remove()
    width, height = figure.get_size_inches()
    more = max(0.0, needed.height / figure.dpi - LEGEND_HEIGHT)
    figure.set_size_inches(max(width, needed.width / figure.dpi + 0.2), height + more)
