"""The search space of a sweep's parameters: conditions, grids and random draws."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from random import Random

from assay.sweep.search.axes import Axis, Values
from assay.sweep.search.settings import Settings, same
from assay.workload import JSON, canonical_json

Point = dict[str, JSON]
"""Path → value of the parameters that are set."""
_ANY_OTHER = object()
REPEATS = 20
"""Repeated draws per distinct one after which the space is taken to be exhausted."""


@dataclass(frozen=True)
class Space:
    """Axes by config path, in the order of the file. A parameter with a condition is set only if the condition holds,
    given the arm, the config and the parameters before it."""

    axes: Mapping[str, Axis]
    conditions: Mapping[str, Mapping[str, JSON]]
    first: Mapping[str, Sequence[JSON]] = field(default_factory=dict)
    """The values of the first draws."""

    def choose(self, pick: Callable[[str], JSON], around: Sequence[Settings]) -> Point:
        """Pick the value of each parameter that is set under any of the settings, in order."""
        chosen: Point = {}
        points: list[Point] = [{} for _ in around]
        for path in self.axes:
            condition = self.conditions.get(path, {})
            matching = [p for settings, p in zip(around, points, strict=True) if settings.match(condition, above=p)]
            if matching:
                chosen[path] = pick(path)
                for point in matching:
                    point[path] = chosen[path]
        return chosen

    def within(self, point: Mapping[str, JSON], settings: Settings) -> Point:
        """The parameters of a point that are set under these settings."""
        chosen: Point = {}
        for path in self.axes:
            if path in point and settings.match(self.conditions.get(path, {}), above=chosen):
                chosen[path] = point[path]
        return chosen

    def grid(self, settings: Settings) -> Iterator[Point]:
        """Every point under these settings; the last parameter varies fastest."""

        @cache
        def points(path: str) -> Sequence[JSON]:  # lazily, since an axis may have millions
            return self.axes[path].points()

        def extend(paths: list[str], chosen: Point) -> Iterator[Point]:
            if not paths:
                yield chosen
            elif settings.match(self.conditions.get(paths[0], {}), above=chosen):
                for value in points(paths[0]):
                    yield from extend(paths[1:], {**chosen, paths[0]: value})
            else:
                yield from extend(paths[1:], chosen)

        return extend(list(self.axes), {})

    def count(self, settings: Settings) -> int:
        """The number of points of the grid. Points that are equal for all later conditions are counted together."""
        alike: list[tuple[Point, int]] = [({}, 1)]
        paths = list(self.axes)
        for place, path in enumerate(paths):
            later = [item for other in paths[place + 1 :] for item in self.conditions.get(other, {}).items()]
            together: dict[tuple[bool, ...], tuple[Point, int]] = {}
            for chosen, number in alike:
                is_set = settings.match(self.conditions.get(path, {}), above=chosen)
                for value, times in self._kinds(path, later) if is_set else [(None, 1)]:
                    point = {**chosen, path: value} if is_set else chosen
                    holds = tuple(settings.match({other: wanted}, above=point) for other, wanted in later)
                    first, so_far = together.get(holds, (point, 0))
                    together[holds] = (first, so_far + number * times)
            alike = list(together.values())
        return sum(number for _, number in alike)

    def _kinds(self, path: str, conditions: Sequence[tuple[str, JSON]]) -> list[tuple[JSON, int]]:
        """The values that conditions name, and a stand-in for all others; each with the number that it stands for."""
        axis = self.axes[path]
        if isinstance(axis, Values) and any(other == path or other.startswith(f"{path}.") for other, _ in conditions):
            return [(value, 1) for value in axis.values]  # values may be sections, to whose parts conditions refer
        named: list[JSON] = []
        for other, wanted in conditions:
            if other == path and axis.is_point(wanted) and not any(same(wanted, value) for value in named):
                named.append(wanted)
        return [*((value, 1) for value in named), (_ANY_OTHER, axis.num_points - len(named))]

    def draws(self, seed: int, around: Sequence[Settings]) -> Iterator[Point]:
        """The first values, then random points, each once, until the space is exhausted.

        Each parameter has a random stream of its own.
        """
        streams = {path: self._stream(path, seed) for path in self.axes}
        known: set[str] = set()
        repeats = 0
        while repeats <= REPEATS * (len(known) + REPEATS):
            values = {path: next(stream) for path, stream in streams.items()}
            point = self.choose(values.__getitem__, around)
            spelled = canonical_json(point)
            if spelled in known:
                repeats += 1
                continue
            known.add(spelled)
            repeats = 0
            yield point

    def _stream(self, path: str, seed: int) -> Iterator[JSON]:
        random = Random(f"{seed} {path}")
        yield from self.first.get(path, ())
        while True:
            yield self.axes[path].draw(random)

    @property
    def num_first(self) -> int:
        """The number of draws with given first values."""
        return max(map(len, self.first.values()), default=0)

    def corners(self, settings: Settings) -> Iterator[Point]:
        """Each parameter at its corners in turn with the others at their first corner, and all at their last."""
        corners = {path: axis.corners() for path, axis in self.axes.items()}
        first = {path: values[0] for path, values in corners.items()}
        yield self.within(first, settings)
        for path, values in corners.items():
            for value in values[1:]:
                yield self.within({**first, **self._needed(path), path: value}, settings)
        yield self.within({path: values[-1] for path, values in corners.items()}, settings)

    def _needed(self, path: str) -> Point:
        """Values of other parameters that fulfil this one's condition."""
        needed: Point = {}
        earlier = list(self.axes)[: list(self.axes).index(path)]  # only these, or a condition on itself would recurse
        for other, value in self.conditions.get(path, {}).items():
            if other in earlier and self.axes[other].has(value):
                needed |= {**self._needed(other), other: value}
        return needed
