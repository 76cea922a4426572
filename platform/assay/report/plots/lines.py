"""Line and scatter plots: the paper's numbers are hollow, results measured under different conditions are faded."""

from __future__ import annotations

from typing import Any

from assay.report.figures import COLORS, MARKERS, literal
from assay.report.plots.panels import FADED, LEDGERS, PAPERS, Panel
from assay.report.plots.series import errors_of

CROWD = "#B8BEC6"


def draw_lines(axes: Any, panel: Panel) -> None:
    _draw(axes, panel, joined=True)


def draw_points(axes: Any, panel: Panel) -> None:
    _draw(axes, panel, joined=False)


def _draw(axes: Any, panel: Panel, joined: bool) -> None:
    for series in panel.crowd:
        points = sorted((panel.axis.at(point.x), point.y) for point in series.points)
        style = {"linestyle": "-" if joined else "none", "linewidth": 0.9, "marker": ".", "color": CROWD, "zorder": 1}
        axes.plot(*zip(*points, strict=True), label=panel.crowd_label, **style)
    for number in range(len(panel.series)):
        _line(axes, panel, number, joined)


def _line(axes: Any, panel: Panel, number: int, joined: bool) -> None:
    axis, series = panel.axis, panel.series[number]
    color, marker = COLORS[number % len(COLORS)], MARKERS[number % len(MARKERS)]
    points = series.points if any(p.label for p in series.points) else sorted(series.points, key=lambda p: axis.at(p.x))
    xs, ys = [axis.at(point.x) for point in points], [point.y for point in points]
    style = {"linestyle": "-" if joined else "none", "capsize": 3, "color": color}
    drawn = axes.errorbar(xs, ys, errors_of(points), marker=marker, label=panel.label(series), **style)
    for bar in (*drawn[1], *drawn[2]):  # error bars of several lines at the same x would hide each other's points
        bar.set_alpha(0.45)
    for x, point in zip(xs, points, strict=True):
        if not point.is_ranked:
            axes.plot([x], [point.y], marker=marker, color="white", alpha=1 - FADED, zorder=4)
        if point.label:
            axes.annotate(literal(point.label), (x, point.y), (4, 4), textcoords="offset points", fontsize=8)
    papers = sorted((axis.at(point.x), point.y) for point in series.paper)
    if papers:
        line = "--" if joined else "none"
        label = f"{literal(series.label)} ({PAPERS})" if series.label else PAPERS
        axes.plot(
            *zip(*papers, strict=True), linestyle=line, marker=marker, color=color, markerfacecolor="white", label=label
        )
    if series.ledger:
        xs, ys = [axis.at(point.x) for point in series.ledger], [point.y for point in series.ledger]
        axes.scatter(xs, ys, marker=marker, s=36, facecolor="black", edgecolor=color, zorder=3, label=LEDGERS)
