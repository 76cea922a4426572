"""A metric over two settings: filled contours between the trials of two numbers, else a cell per pair of values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean
from typing import Any

from assay.report.figures import literal
from assay.report.plots.axes import log_scale, show_numbers
from assay.report.plots.slices import show_names
from assay.report.plots.trials import NotDrawn, Picture, Setting
from assay.text import decimals
from assay.text import metric as in_words

PANEL = (6.4, 4.8)
"""Inches."""
NUM_LEVELS = 12
LEAST_POINTS = 4
"""Fewer distinct points are drawn without contours."""
FLAT = 1e-3
"""A share of a square: points whose triangle is smaller lie on a line, and have nothing between them."""
MOST_SHOWN = 60
"""With more cells, their numbers are left out."""
CELL = 0.75
"""Inches."""

Point = tuple[float, float]


def draw_contour(figure: Any, picture: Picture) -> None:
    x, y = (_one(picture, key) for key in ("x", "y"))
    is_field = x.is_numeric and y.is_numeric
    width, height = PANEL
    if not is_field:
        width, height = max(width, 2.5 + CELL * len(x.levels)), max(height, 1.6 + 0.4 * len(y.levels))
    figure.set_size_inches(width, height * len(picture.metrics) + 0.3)
    for axes, metric in zip(
        figure.subplots(len(picture.metrics), squeeze=False).flatten(), picture.metrics, strict=True
    ):
        draw = _draw_field if is_field else _draw_cells
        shown = draw(axes, picture, x, y, metric)
        figure.colorbar(shown, ax=axes, label=literal(picture.label(metric)))
        axes.set_xlabel(literal(x.name))
        axes.set_ylabel(literal(y.name))


def _one(picture: Picture, key: Any) -> Setting:
    (name,) = picture.plot.names(key)
    setting = picture.trials.setting(name)
    if len(setting.levels) < 2:
        raise NotDrawn(f"{name} is the same in all trials")
    return setting


def _draw_field(axes: Any, picture: Picture, x: Setting, y: Setting, metric: str) -> Any:
    means = _means(x.places, y.places, picture.trials.metrics[metric])
    scales = [picture.is_log(x, "x"), picture.is_log(y, "y")]
    flat = [_unit([point[i] for point in means], is_log) for i, is_log in enumerate(scales)]
    heights, colors = list(means.values()), {"cmap": picture.colors(metric)}
    limits = {"vmin": min(heights), "vmax": max(heights)}
    if len(means) >= LEAST_POINTS and _is_spread(list(zip(*flat, strict=True))):
        from matplotlib.tri import Triangulation

        triangles = Triangulation(*flat).triangles  # of places as they are seen, also if an axis is logarithmic
        places = [[point[i] for point in means] for i in (0, 1)]
        axes.tricontourf(*places, triangles, heights, levels=NUM_LEVELS, **colors)
    shown = axes.scatter(
        *zip(*means, strict=True), c=heights, s=42, edgecolor="white", linewidth=1.2, zorder=3, **limits, **colors
    )
    best = x.places[0], y.places[0]  # the trials are in order
    axes.plot(*best, marker="o", markersize=14, markerfacecolor="none", color="#D55E00", markeredgewidth=2, zorder=4)
    axes.annotate("best", best, (9, 9), textcoords="offset points", fontsize=9, color="#D55E00", fontweight="bold")
    axes.use_sticky_edges = False  # or the outermost points are cut
    axes.margins(0.04)
    for name, setting, is_log in (("x", x, scales[0]), ("y", y, scales[1])):
        show_numbers(axes, name, setting.places)
        if is_log:
            log_scale(axes, name, setting.ticks)
    return shown


def _draw_cells(axes: Any, picture: Picture, x: Setting, y: Setting, metric: str) -> Any:
    means = _means(x.level_places, y.level_places, picture.trials.metrics[metric])
    cells = [[means.get((column, row), math.nan) for column in range(len(x.levels))] for row in range(len(y.levels))]
    shown = axes.imshow(cells, cmap=picture.colors(metric), aspect="auto", origin="lower")
    if len(x.levels) * len(y.levels) <= MOST_SHOWN:
        places = decimals(means.values())
        box = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1.5}
        for (column, row), mean in means.items():
            axes.text(column, row, in_words(mean, places), ha="center", va="center", fontsize=8, bbox=box)
    show_names(axes, x)
    show_names(axes, y, "y")
    return shown


def _means(xs: Sequence[float], ys: Sequence[float], values: Sequence[float]) -> dict[Point, float]:
    """Place → the mean of the trials there, which differ in other settings and seeds."""
    together: dict[Point, list[float]] = {}
    for x, y, value in zip(xs, ys, values, strict=True):
        together.setdefault((x, y), []).append(value)
    return {point: fmean(those) for point, those in together.items()}


def _unit(numbers: Sequence[float], is_log: bool) -> list[float]:
    """Where numbers are along an axis, from 0 to 1."""
    seen = [math.log(number) for number in numbers] if is_log else list(numbers)
    low, high = min(seen), max(seen)
    return [(number - low) / (high - low) for number in seen]


def _is_spread(points: Sequence[Point]) -> bool:
    """Whether the points, in the unit square, do not all lie on a line."""
    (x0, y0), (x1, y1) = min(points), max(points)
    return any(abs((x1 - x0) * (y - y0) - (x - x0) * (y1 - y0)) > FLAT for x, y in points)
