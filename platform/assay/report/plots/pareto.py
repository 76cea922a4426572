"""Two objectives of a sweep against each other, with the Pareto front of these two as a staircase."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from assay.report.plots.lines import draw_points
from assay.report.plots.panels import Panel
from assay.report.plots.series import Series
from assay.results.pareto import non_dominated

FRONT = "Pareto front"
MOST_LABELLED = 24
"""With more points, only those of the front are labelled."""


def draw_pareto(axes: Any, panel: Panel) -> None:
    every = [point for series in (*panel.series, *panel.crowd) for point in series.points if point.is_ranked]
    places = [(panel.axis.at(point.x), point.y) for point in every]
    sign_x, sign_y = panel.signs
    on_front = non_dominated([(sign_x * x, sign_y * y) for x, y in places])
    front = sorted(places[number] for number in on_front)
    # Between two of its points, what is reached at x or better in x is the y of the point that is better in x.
    where = "post" if sign_x > 0 else "pre"
    style = {"color": "black", "linewidth": 1.6, "alpha": 0.6, "zorder": 1.5}
    axes.step([x for x, _ in front], [y for _, y in front], where=where, label=FRONT, **style)
    if len(every) > MOST_LABELLED:
        panel = replace(panel, series=[_labelled(series, panel, set(front)) for series in panel.series])
    draw_points(axes, panel)


def _labelled(series: Series, panel: Panel, front: set[tuple[float, float]]) -> Series:
    """The series with labels only at points of the front."""
    kept = [p if (panel.axis.at(p.x), p.y) in front else replace(p, label="") for p in series.points]
    return replace(series, points=kept)
