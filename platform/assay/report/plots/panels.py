"""One panel of a plot: its lines or bars, what is hollow or faded among them, and what their error bars are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assay.report.figures import COLORS, HATCHES, MARKERS, literal
from assay.report.plots.axes import Axis, set_ticks
from assay.report.plots.series import Point, Series
from assay.results.reference import same_value
from assay.results.table import Table
from assay.sweep import Plot
from assay.sweep.trial_checks import ARM
from assay.text import decimals, metric

PAST_THE_MARKS = 8
"""Points between the end of a bar, or a mark beyond it, and the bar's value."""
MOST_VALUES_SHOWN = 24
MOST_UPRIGHT = 8
"""Bars that are wide enough for a number across."""
MOST_LINES = len(COLORS)
"""Of more, those of the best trials have a colour and a name, and the others are a grey crowd behind them."""
CROWD = "#B8BEC6"
DIM = "#5B6570"
THE_OTHERS = "the other "
"""How the crowd is named; what follows is how many trials are in it."""
FADED = 0.35
PAPERS, LEDGERS = "paper's", "ledger's"
OVER_SEEDS, OF_SAMPLES = "± sd over seeds", "± 95%"


@dataclass(frozen=True)
class Seats:
    """Where bars stand: side by side at their x, all as wide as where there are most. What is not there takes none."""

    at_each: Mapping[float, Sequence[int]]
    """A place on the axis → the series that have something there."""
    most: int
    num_bars: int

    @classmethod
    def of(cls, axis: Axis, series: Sequence[Series]) -> Seats:
        at_each: dict[float, list[int]] = {}
        for number, one in enumerate(series):
            for place in {axis.at(point.x) for point in (*one.points, *one.paper, *one.ledger)}:
                at_each.setdefault(place, []).append(number)
        return cls(at_each, max(map(len, at_each.values())), sum(len(one.points) for one in series))

    @property
    def width(self) -> float:
        return 0.8 / self.most

    def at(self, number: int, place: float) -> float:
        """The middle of the bar that the series of this number has there."""
        seated = self.at_each[place]
        return place + (seated.index(number) - (len(seated) - 1) / 2) * self.width


def draw_panel(axes: Any, axis: Axis, plot: Plot, y: str, series: Sequence[Series], made: Table) -> None:
    front = _in_front(series, made) if plot.kind != "bar" else list(series)
    for one in series:
        if one not in front:
            _crowd(axes, axis, plot, one, f"{THE_OTHERS}{len(series) - len(front)}")
    seats = Seats.of(axis, front)
    for number, one in enumerate(front):
        color, marker = COLORS[number % len(COLORS)], MARKERS[number % len(MARKERS)]
        if plot.kind == "bar":
            _bars(axes, axis, one, number, seats, color)
        else:
            _line(axes, axis, plot, one, color, marker)
    set_ticks(axes, axis, plot)
    name, value = ("x", "y") if not axis.is_sideways else ("y", "x")
    getattr(axes, f"set_{name}label")("" if plot.x == ARM else literal(axis.name))
    getattr(axes, f"set_{value}label")(literal(y))
    axes.grid(visible=True, axis=value if plot.kind == "bar" else "both", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    if said := error_bars_are([point for one in front for point in one.points]):
        axes.set_title(said, loc="right", fontsize=8, color=DIM)


def error_bars_are(points: Sequence[Point]) -> str:
    """Empty where there are none. A point of one seed has no spread, but may have the noise of its samples."""
    kinds = {OVER_SEEDS if point.seeds > 1 else OF_SAMPLES for point in points if point.error}
    return f"{OVER_SEEDS}; of one seed {OF_SAMPLES}" if len(kinds) > 1 else "".join(kinds)


def _bars(axes: Any, axis: Axis, series: Series, number: int, seats: Seats, color: str) -> None:
    places = [seats.at(number, axis.at(point.x)) for point in series.points]
    heights = [point.y for point in series.points]
    errors = _errors(series.points)
    draw, error_name = (axes.barh, "xerr") if axis.is_sideways else (axes.bar, "yerr")
    size = {"height" if axis.is_sideways else "width": seats.width * 0.92}
    looks = {
        "label": _own_label(series),
        "color": color,
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
            xs, ys = [seats.at(number, axis.at(point.x)) for point in points], [point.y for point in points]
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
