"""Parallel coordinates: an axis per setting and metric, a line per trial, coloured by the first metric."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from assay.report.figures import inches_wide, literal, shortened
from assay.report.plots.axes import abbreviated
from assay.report.plots.trials import Picture, Setting

HEIGHT = 4.6
"""Inches."""
LEAST_APART, BESIDE = 1.5, 0.35
"""Inches between axes, and beside the names at them."""
LAST = 0.65
"""Inches right of the last axis, for its numbers."""
MOST_NAME = 22
"""Characters of a name at an axis."""
MOST_TICKS = 9
TOO_NEAR = 0.045
"""Share of an axis: a tick that is nearer to the one before has no number."""
TICK_POINTS, NAME_POINTS = 8, 9
BEST = "#D55E00"


@dataclass(frozen=True)
class _Upright:
    """One axis: where each trial is on it, from 0 to 1, and its ticks."""

    name: str
    places: Sequence[float]
    ticks: Sequence[tuple[float, str]]

    @property
    def width_inches(self) -> float:
        ticks = inches_wide([text for _, text in self.ticks], TICK_POINTS)
        return max(LEAST_APART, BESIDE + max(ticks, inches_wide(_in_lines(self.name).split("\n"), NAME_POINTS)))


def draw_parallel(figure: Any, picture: Picture) -> None:
    uprights = [_of_setting(setting, is_log=picture.is_log(setting, "x")) for setting in picture.settings("x")]
    for metric in picture.metrics:
        values = picture.trials.metrics[metric]
        uprights.append(_of_numbers(metric, values, (), is_log="y" in picture.plot.log and min(values) > 0))
    xs = [0.0]
    for left in uprights[:-1]:
        xs.append(xs[-1] + left.width_inches)
    figure.set_size_inches(max(6.4, xs[-1] + LAST + 1.6), HEIGHT)
    axes = figure.subplots()
    first = picture.metrics[0]
    _lines(figure, axes, xs, uprights, picture.trials.metrics[first], picture.colors(first), picture.label(first))
    for x, upright in zip(xs, uprights, strict=True):
        _upright(axes, x, upright)
    axes.set_xlim(-0.15, xs[-1] + LAST)
    axes.set_ylim(-0.05, 1.05)
    axes.set_xticks(xs, [literal(_in_lines(upright.name)) for upright in uprights], fontsize=NAME_POINTS, ha="left")
    axes.set_yticks([])
    axes.tick_params(axis="x", length=0)
    axes.spines[:].set_visible(False)


def _lines(
    figure: Any,
    axes: Any,
    xs: Sequence[float],
    uprights: Sequence[_Upright],
    values: Sequence[float],
    colors: str,
    label: str,
) -> None:
    from matplotlib.collections import LineCollection

    every = [list(zip(xs, places, strict=True)) for places in zip(*(u.places for u in uprights), strict=True)]
    backwards = LineCollection(every[::-1], array=values[::-1], cmap=colors, linewidths=1.5, alpha=0.75)
    axes.add_collection(backwards)  # the best is in front
    axes.plot(*zip(*every[0], strict=True), color=BEST, linewidth=2.6, marker="o", markersize=5, label="best")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), frameon=False, fontsize=NAME_POINTS)
    figure.colorbar(backwards, ax=axes, label=literal(label), pad=0.01, fraction=0.06)


def _upright(axes: Any, x: float, upright: _Upright) -> None:
    axes.plot([x, x], [0, 1], color="#3A424B", linewidth=1, zorder=3)
    box = {"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.8}
    for place, text in upright.ticks:
        axes.plot([x - 0.03, x + 0.03], [place, place], color="#3A424B", linewidth=1, zorder=3)
        axes.text(x + 0.07, place, literal(text), va="center", fontsize=TICK_POINTS, bbox=box, zorder=4)


def _of_setting(setting: Setting, *, is_log: bool) -> _Upright:
    if setting.is_numeric:
        return _of_numbers(setting.name, setting.places, setting.ticks, is_log=is_log)
    last = len(setting.levels) - 1
    short = shortened(setting.names, MOST_NAME)
    every = [(number / last, short[name]) for number, name in enumerate(setting.names)]
    return _Upright(setting.name, [place / last for place in setting.level_places], _some(every))


def _of_numbers(name: str, numbers: Sequence[float], ticks: Sequence[float], *, is_log: bool) -> _Upright:
    """`ticks`: the numbers to name, else round ones."""
    low, high = min(numbers), max(numbers)
    if low == high:
        return _Upright(name, [0.5] * len(numbers), [(0.5, abbreviated(low))])

    def place(number: float) -> float:
        if is_log:
            return math.log(number / low) / math.log(high / low)
        return (number - low) / (high - low)

    named = ticks if 0 < len(ticks) <= MOST_TICKS else _round_numbers(low, high, is_log=is_log)
    return _Upright(name, [place(number) for number in numbers], _some([(place(n), abbreviated(n)) for n in named]))


def _round_numbers(low: float, high: float, *, is_log: bool) -> list[float]:
    """Round numbers between two."""
    from matplotlib.ticker import LogLocator, MaxNLocator

    locator = LogLocator(numticks=MOST_TICKS) if is_log else MaxNLocator(6)
    inside = [float(tick) for tick in locator.tick_values(low, high) if low <= tick <= high]
    return inside if len(inside) > 1 else [low, high]


def _some(ticks: Sequence[tuple[float, str]]) -> list[tuple[float, str]]:
    """The ticks without those that are too near to the one before."""
    kept: list[tuple[float, str]] = []
    for place, text in ticks:
        if not kept or place - kept[-1][0] >= TOO_NEAR:
            kept.append((place, text))
    return kept


def _in_lines(path: str) -> str:
    """A config path with its sections on a line of their own."""
    sections, dot, name = path.rpartition(".")
    return f"{sections}{dot}\n{name}" if dot else path
