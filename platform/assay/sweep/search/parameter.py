"""The keys of a parameter in a sweep file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Self

from pydantic import model_validator

from assay.sweep.fields import Count, Flag, Name, Number, NumPoints, Positive, Section, SomeValues
from assay.sweep.search import Axis, Floats, Integers, Partitions, Values
from assay.workload import JSON

ONE_OF = "one of values: […]; min: … and max: …; or partition: {total: …, parts: …}"


class PartitionOf(Section):
    """Integer lists with a fixed total: every part is `min` plus a multiple of `step`, and at most `max`."""

    total: Positive
    """What the parts add up to."""
    parts: Positive
    """How many integers a list has."""
    step: Positive = 1
    """Parts differ by multiples of it."""
    min: Count = 0
    """The least that a part may be."""
    max: Positive | None = None
    """None: the total."""

    @property
    def axis(self) -> Partitions:
        return Partitions(self.total, self.parts, self.step, self.min, self.max)

    @model_validator(mode="after")
    def _exists(self) -> Self:
        if not self.axis.num_points:
            most = f", at most {self.max}" if self.max is not None else ""
            part = f"{self.min} plus a multiple of {self.step}" if self.min else f"a multiple of {self.step}"
            raise ValueError(f"no {self.parts} parts, each {part}{most}, add up to {self.total}")
        return self


class Parameter(Section):
    """The values of one config path: one of `values`, a number from `min` to `max`, or a `partition`."""

    values: SomeValues | None = None
    """The values to try, of any type."""
    min: Number | None = None
    """The lower end of a range."""
    max: Number | None = None
    """The upper end of a range."""
    log: Flag = False
    """Uniform in the logarithm."""
    num: NumPoints | None = None
    """Points of a grid over the range; searchers that draw ignore it."""
    int: Flag = False
    """Only integers of the range."""
    step: Positive | None = None
    """The distance between the integers of a range."""
    partition: PartitionOf | None = None
    """Integer lists with a fixed total."""
    first: tuple[JSON, ...] = ()
    """The first values that searchers that draw try, in this order."""
    when: Mapping[Name, JSON] = {}
    """A condition: the parameter is set only if the arm, the config and the parameters above have these values (config
    path → value), and in these arms ("arm" → a name or a list of names)."""

    def parts_of(self, path: str) -> list[str]:
        """What the parts of its partition are called, if it has one: sample.steps[0], …"""
        return [] if self.partition is None else [f"{path}[{number}]" for number in range(self.partition.parts)]

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if problem := self._problem():
            raise ValueError(problem)
        outside = [f"first[{i}]: {json.dumps(value)}" for i, value in enumerate(self.first) if not self.axis.has(value)]
        if outside:
            raise ValueError(f"got {', '.join(outside)}, allowed there: what the parameter itself can be")
        return self

    def _problem(self) -> str | None:
        given = [key for key in ("values", "min", "max", "partition") if getattr(self, key) is not None]
        if given not in (["values"], ["min", "max"], ["partition"]):
            return f"got {' and '.join(given) or 'none of them'}, allowed: {ONE_OF}"
        extra = [key for key in ("log", "num", "int", "step") if key in self.model_fields_set and getattr(self, key)]
        if self.min is None or self.max is None:
            return f"got {', '.join(extra)} with {given[0]}; these go with min and max" if extra else None
        if self.min >= self.max:
            return f"got min {self.min:g} and max {self.max:g}, allowed: min < max"
        if self.log and self.min <= 0:
            return f"got min {self.min:g} with log: true, allowed: > 0"
        if not self.int:
            return "step goes with int: true; give num, the number of points, instead" if self.step else None
        if self.min != self.min // 1 or self.max != self.max // 1:
            return f"got min {self.min:g} and max {self.max:g} with int: true, allowed: integers"
        if self.log and self.step not in (None, 1):
            return f"got step {self.step} with log: true, allowed: one of them"
        return None

    @property
    def axis(self) -> Axis:
        if self.values is not None:
            return Values(self.values)
        if self.partition is not None:
            return self.partition.axis
        assert self.min is not None
        assert self.max is not None
        if self.int:
            return Integers(round(self.min), round(self.max), self.step or 1, self.log, self.num)
        return Floats(self.min, self.max, self.log, self.num)


def part_of(value: JSON, number: int) -> JSON:
    """A part of a trial's partition; None if an arm sets a value that has no such part."""
    return value[number] if isinstance(value, list) and number < len(value) else None
