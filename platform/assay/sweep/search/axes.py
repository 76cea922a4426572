"""The values of one parameter: a list, a range of numbers, or lists of integers with a fixed total."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import Protocol

from assay.sweep.search import partitions
from assay.sweep.search.settings import same
from assay.workload import JSON

DIGITS = 12
"""Significant digits of a grid's points: 0.3 instead of 0.30000000000000004."""


class Axis(Protocol):
    @property
    def num_points(self) -> int:
        """The number of points of a grid, without listing them."""

    def points(self) -> Sequence[JSON]:
        """The points of a grid, in order."""

    def draw(self, random: Random) -> JSON:
        """One value at random."""

    def corners(self) -> Sequence[JSON]:
        """The values most likely to be refused."""

    def has(self, value: JSON) -> bool: ...

    def is_point(self, value: JSON) -> bool:
        """Whether it is a point of the grid."""


@dataclass(frozen=True)
class Values:
    values: tuple[JSON, ...]

    @property
    def num_points(self) -> int:
        return len(self.values)

    def points(self) -> Sequence[JSON]:
        return self.values

    def draw(self, random: Random) -> JSON:
        return random.choice(self.values)

    def corners(self) -> Sequence[JSON]:
        return self.values

    def has(self, value: JSON) -> bool:
        return any(same(value, mine) for mine in self.values)

    def is_point(self, value: JSON) -> bool:
        return self.has(value)


@dataclass(frozen=True)
class Floats:
    """low ≤ x ≤ high, uniform in x or in log x."""

    low: float
    high: float
    log: bool = False
    num: int | None = None
    """Points of a grid, including both ends."""

    @property
    def num_points(self) -> int:
        assert self.num is not None, "a grid over floats needs num"
        return self.num

    def points(self) -> Sequence[JSON]:
        inner = [self._at(i / (self.num_points - 1)) for i in range(1, self.num_points - 1)]
        return [self.low, *(float(f"{x:.{DIGITS}g}") for x in inner), self.high]

    def draw(self, random: Random) -> JSON:
        return self._at(random.random())

    def _at(self, share: float) -> float:
        if self.log:
            x = math.exp((1 - share) * math.log(self.low) + share * math.log(self.high))
        else:
            x = (1 - share) * self.low + share * self.high
        return min(max(x, self.low), self.high)

    def corners(self) -> Sequence[JSON]:
        return [self.low, self.high]

    def has(self, value: JSON) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and self.low <= value <= self.high

    def is_point(self, value: JSON) -> bool:
        return self.has(value) and value in self.points()


@dataclass(frozen=True)
class Integers:
    """low, low + step, … up to high, uniform in x or in log x (then step is 1)."""

    low: int
    high: int
    step: int = 1
    log: bool = False
    num: int | None = None
    """Points of a grid, evenly spaced up to rounding; None: all of them."""

    @property
    def last(self) -> int:
        """The largest value."""
        return self.high - (self.high - self.low) % self.step

    @property
    def num_points(self) -> int:
        if self.num is None:
            return self._size
        # Points that are even in log x may coincide at the low end; points that are even in x do not.
        return len(self.points()) if self.log else min(self.num, self._size)

    @property
    def _size(self) -> int:
        return (self.last - self.low) // self.step + 1

    def points(self) -> Sequence[JSON]:
        if self.num is None:
            return range(self.low, self.last + 1, self.step)
        shares = [i / (self.num - 1) for i in range(self.num)]
        if self.log:
            exact = [math.exp((1 - s) * math.log(self.low) + s * math.log(self.last)) for s in shares]
            return sorted({min(max(round(x), self.low), self.last) for x in exact})
        return sorted({self.low + self.step * round(s * (self._size - 1)) for s in shares})

    def draw(self, random: Random) -> JSON:
        share = random.random()
        if not self.log:
            return self.low + self.step * min(int(share * self._size), self._size - 1)
        low, high = math.log(self.low - 0.5), math.log(self.last + 0.5)  # so that the ends are not underrepresented
        return min(max(round(math.exp(low + share * (high - low))), self.low), self.last)

    def corners(self) -> Sequence[JSON]:
        return [self.low, self.last]

    def has(self, value: JSON) -> bool:
        is_whole = isinstance(value, int | float) and not isinstance(value, bool) and value == int(value)
        return is_whole and self.low <= value <= self.high and (value - self.low) % self.step == 0

    def is_point(self, value: JSON) -> bool:
        return self.has(value) and (self.num is None or value in self.points())


@dataclass(frozen=True)
class Partitions:
    """Lists of `parts` integers that add up to `total`, each `least` plus a multiple of `step`, and at most `most`."""

    total: int
    parts: int
    step: int = 1
    least: int = 0
    most: int | None = None

    @property
    def units(self) -> int:
        """Steps to distribute above the least of every part; negative if the total is too small for that."""
        return (self.total - self.parts * self.least) // self.step

    @property
    def cap(self) -> int:
        """The most units of one part."""
        most = self.total if self.most is None else min(self.most, self.total)
        return max((most - self.least) // self.step, 0)

    @cached_property
    def num_points(self) -> int:
        if self.units < 0 or (self.total - self.parts * self.least) % self.step:
            return 0
        return partitions.count(self.parts, self.units, self.cap)

    def points(self) -> Sequence[JSON]:
        return [self.of_units(units) for units in partitions.every(self.parts, self.units, self.cap)]

    def draw(self, random: Random) -> JSON:
        """Uniform over all partitions."""
        rank = random.randrange(self.num_points)
        return self.of_units(partitions.nth(rank, self.parts, self.units, self.cap))

    def corners(self) -> Sequence[JSON]:
        """The most even partition, and those with one part as large as possible."""
        even = [1.0] * self.parts
        peaks = [[float(i == j) for j in range(self.parts)] for i in range(self.parts)]
        corners = [self.of_weights(weights) for weights in [even, *peaks]]
        return [value for i, value in enumerate(corners) if value not in corners[:i]]

    def has(self, value: JSON) -> bool:
        if not isinstance(value, list) or len(value) != self.parts or any(type(part) is not int for part in value):
            return False
        most = self.total if self.most is None else self.most
        fits = all(self.least <= part <= most and (part - self.least) % self.step == 0 for part in value)
        return fits and sum(value) == self.total

    def is_point(self, value: JSON) -> bool:
        return self.has(value)

    def of_units(self, units: Sequence[int]) -> list[int]:
        return [self.least + self.step * unit for unit in units]

    def of_weights(self, weights: Sequence[float]) -> list[int]:
        """The partition whose parts, above their least, are closest to proportional to the weights."""
        return self.of_units(partitions.apportion(weights, self.units, self.cap))

    def to_weights(self, value: Sequence[int]) -> list[float]:
        """The inverse of `of_weights`: weights in [0, 1], of which the largest is 1."""
        units = [(part - self.least) // self.step for part in value]
        largest = max(units)
        return [unit / largest if largest else 1.0 for unit in units]
