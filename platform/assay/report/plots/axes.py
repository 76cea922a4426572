"""The axes of a plot: numeric or categorical, with readable ticks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assay.report.figures import literal, shortened
from assay.report.plots.series import Series
from assay.sweep import Plot
from assay.sweep.expansion import in_words
from assay.sweep.expressions import Expression
from assay.workload import JSON, canonical_json

LONG_NAME = 10
"""Characters: with longer names, bars are horizontal."""
MOST_STANDING = 12
"""With more bars, they are horizontal as well."""
SLANT = 30
"""Degrees by which long names below lines are rotated."""
MOST_TICKS = 10
MANY = 10_000
"""From here on numbers on an axis are abbreviated: 250k, 4.36M."""
HOUR_S = 3600


@dataclass(frozen=True)
class Axis:
    """Positions of x: numbers are at their values, other values are categories, one after the other."""

    name: str
    categories: tuple[str, ...]
    """Empty for numbers."""
    names: tuple[str, ...]
    """Shortened names of the categories."""
    ticks: tuple[float, ...]
    is_sideways: bool
    scale: float
    """The divisor of numbers: many seconds become hours."""
    of_x: Expression
    """What it shows of numbers."""

    @classmethod
    def of(cls, plot: Plot, series: Sequence[Series], *, is_cost: bool = False) -> Axis:
        values = distinct_values(series)
        if has_names(plot, series):
            short = shortened(in_words(x) for x in in_order(values))
            is_long = len(short) > MOST_STANDING or max(map(len, short)) > LONG_NAME
            return cls(
                plot.along, tuple(short), tuple(short.values()), (), plot.facts.turns and is_long, 1.0, plot.of_x
            )
        if not is_cost:
            ticks = {float(plot.of_x.at(value)) for value in values}
            return cls(plot.along, (), (), tuple(sorted(ticks)), False, 1.0, plot.of_x)
        is_long = plot.along.endswith("seconds") and max(values) > 2 * HOUR_S
        name = f"{plot.along.removesuffix('seconds')}hours" if is_long else plot.along
        return cls(name, (), (), (), False, HOUR_S if is_long else 1, plot.of_x)

    @property
    def is_slanted(self) -> bool:
        return not self.is_sideways and (len(self.names) > MOST_STANDING or max(map(len, self.names)) > LONG_NAME)

    def at(self, x: JSON) -> float:
        return float(self.categories.index(in_words(x))) if self.categories else float(self.of_x.at(x)) / self.scale


@dataclass(frozen=True)
class Seats:
    """Positions of bars: side by side at their x, all of the same width, with no room for missing values."""

    at_each: Mapping[float, Sequence[int]]
    """Position on the axis → numbers of the series that have a value there."""
    most: int
    num_bars: int

    @classmethod
    def of(cls, axis: Axis, series: Sequence[Series]) -> Seats:
        at_each: dict[float, list[int]] = {}
        for number, each in enumerate(series):
            for place in {axis.at(point.x) for point in (*each.points, *each.paper, *each.ledger)}:
                at_each.setdefault(place, []).append(number)
        return cls(at_each, max(map(len, at_each.values())), sum(len(each.points) for each in series))

    @property
    def width(self) -> float:
        return 0.8 / self.most

    def at(self, number: int, place: float) -> float:
        """The centre of the bar of the series with this number."""
        seated = self.at_each[place]
        return place + (seated.index(number) - (len(seated) - 1) / 2) * self.width


def distinct_values(series: Sequence[Series]) -> list[JSON]:
    """Every x once."""
    values = {canonical_json(point.x): point.x for each in series for point in (*each.points, *each.paper)}
    return list(values.values())


def has_names(plot: Plot, series: Sequence[Series]) -> bool:
    """Whether x is categorical."""
    return plot.facts.x == "names" or not all(is_number(x) for x in distinct_values(series))


def is_number(x: JSON) -> bool:
    return isinstance(x, int | float) and not isinstance(x, bool)


def in_order(values: Sequence[JSON]) -> list[JSON]:
    """Null, then numbers by size; anything else in the order of the sweep."""
    numbers = [value for value in values if is_number(value)]
    if len(numbers) + values.count(None) == len(values):
        return [*([None] if None in values else []), *sorted(numbers)]
    return list(values)


def set_ticks(axes: Any, axis: Axis, plot: Plot) -> None:
    if axis.categories:
        names, places = [literal(name) for name in axis.names], range(len(axis.names))
        if axis.is_sideways:
            axes.set_yticks(places, names)
            axes.set_ylim(len(names) - 0.4, -0.6)  # the first is on top
        else:
            slant = {"rotation": SLANT, "ha": "right", "rotation_mode": "anchor"} if axis.is_slanted else {}
            axes.set_xticks(places, names, **slant)
    elif "x" in plot.log:
        log_scale(axes, "x", axis.ticks)
    else:
        show_numbers(axes, "x", axis.ticks)
    if "y" in plot.log:
        log_scale(axes, "x" if axis.is_sideways else "y", ())


def show_numbers(axes: Any, name: str, values: Sequence[float]) -> None:
    """Abbreviate large numbers on an axis."""
    if max(values, default=0) >= MANY:
        getattr(axes, f"{name}axis").set_major_formatter(lambda value, position: abbreviated(value))


def abbreviated(value: float) -> str:
    """250k, 4.36M"""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= max(size, MANY):
            return f"{value / size:.3g}{unit}"
    return f"{value:g}"


def log_scale(axes: Any, name: str, values: Sequence[float]) -> None:
    """Set a logarithmic scale; if there is a zero among the values, linear below the smallest positive one. Few values
    are its ticks."""
    positive = [value for value in values if value > 0]
    if len(positive) < len(values) and positive:
        getattr(axes, f"set_{name}scale")("symlog", linthresh=min(positive), linscale=0.5)
    else:
        getattr(axes, f"set_{name}scale")("log")
    getattr(axes, f"{name}axis").set_major_formatter("{x:g}")  # 0.1 instead of the default 10⁻¹
    if 0 < len(values) <= MOST_TICKS:
        getattr(axes, f"set_{name}ticks")(values, [abbreviated(value) for value in values])
        getattr(axes, f"{name}axis").minorticks_off()
