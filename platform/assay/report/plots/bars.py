"""Bar plots: one bar per arm or value of x, with the paper's number as a diamond at the bar."""

from __future__ import annotations

from typing import Any

from assay.report.figures import COLORS, HATCHES
from assay.report.plots.axes import Seats
from assay.report.plots.panels import FADED, LEDGERS, PAPERS, Panel
from assay.report.plots.series import Series, errors_of
from assay.sweep.search import same
from assay.text import decimals, metric

PAST_THE_MARKS = 8
"""Points between the end of a bar, or of a mark beyond it, and the bar's value."""
MOST_VALUES_SHOWN = 24
MOST_UPRIGHT = 8
"""With more bars, numbers in them are rotated."""


def draw_bars(axes: Any, panel: Panel) -> None:
    seats = Seats.of(panel.axis, panel.series)
    for number, series in enumerate(panel.series):
        _bars(axes, panel, series, number, seats)


def _bars(axes: Any, panel: Panel, series: Series, number: int, seats: Seats) -> None:
    axis = panel.axis
    places = [seats.at(number, axis.at(point.x)) for point in series.points]
    heights = [point.y for point in series.points]
    errors = errors_of(series.points)
    draw, error_name = (axes.barh, "xerr") if axis.is_sideways else (axes.bar, "yerr")
    size = {"height" if axis.is_sideways else "width": seats.width * 0.92}
    looks = {
        "label": panel.label(series),
        "color": COLORS[number % len(COLORS)],
        "hatch": HATCHES[number // len(COLORS) % len(HATCHES)],
        "edgecolor": "white",
        "linewidth": 0,
        "error_kw": {"capsize": 3, "lw": 1.2},
    }
    bars = draw(places, heights, **size, **{error_name: errors}, **looks)
    for bar, point in zip(bars, series.points, strict=True):
        bar.set_alpha(1.0 if point.is_ranked else FADED)
    if seats.num_bars <= MOST_VALUES_SHOWN:
        shown = [metric(height, decimals(heights)) for height in heights]
        is_narrow = not axis.is_sideways and seats.most * len(axis.names) > MOST_UPRIGHT
        if axis.is_sideways and errors is None:
            for place, text, point in zip(places, shown, series.points, strict=True):
                marks_at_x = [mark.y for mark in (*series.paper, *series.ledger) if same(mark.x, point.x)]
                end = (max(point.y, *marks_at_x, 0.0), place)
                axes.annotate(
                    text, end, (PAST_THE_MARKS, 0), textcoords="offset points", va="center_baseline", fontsize=8
                )
        else:  # in the centre of the bar, since the error bar and the paper's number are at its end
            box = {"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 1.5}
            axes.bar_label(bars, shown, label_type="center", fontsize=8, rotation=90 if is_narrow else 0, bbox=box)
    for label, points, color in ((LEDGERS, series.ledger, "black"), (PAPERS, series.paper, "white")):
        if points:
            xs, ys = [seats.at(number, axis.at(point.x)) for point in points], [point.y for point in points]
            marks = (ys, xs) if axis.is_sideways else (xs, ys)
            axes.scatter(*marks, marker="D", s=36, facecolor=color, edgecolor="black", zorder=3, label=label)
