"""How a sweep looks for its best: what parameters may be, which values are tried, and which trials go on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from assay.sweep.fields import AtLeastTwo, Count, Flag, Name, Number, NumPoints, Positive, Rungs, Section, SomeValues
from assay.sweep.search import Axis, Floats, Integers, Partitions, Values
from assay.workload import JSON

ONE_OF = "one of values: […]; min: … and max: …; or partition: {total: …, parts: …}"


class PartitionOf(Section):
    """Integer lists with a fixed total: every part is `min` plus a multiple of `step`, and at most `max`."""

    total: Positive
    parts: Positive
    step: Positive = 1
    min: Count = 0
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
    """What one config path takes: one of `values`, a number from `min` to `max`, or a `partition`."""

    values: SomeValues | None = None
    min: Number | None = None
    max: Number | None = None
    log: Flag = False
    """Even in the logarithm."""
    num: NumPoints | None = None
    """Points of a grid over the range; searchers that draw take any number of it."""
    int: Flag = False
    step: Positive | None = None
    """Between the integers of a range."""
    partition: PartitionOf | None = None
    first: tuple[JSON, ...] = ()
    """Values that searchers that draw begin with, in this order, before they draw others."""
    when: Mapping[Name, JSON] = {}
    """Config path → value: set only where the arm, the config and the parameters above give all of these."""

    @model_validator(mode="after")
    def _is_one_kind(self) -> Self:
        wrong = self._wrong() or self._wrong_first()
        if wrong:
            raise ValueError(wrong)
        return self

    def _wrong(self) -> str | None:
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

    def _wrong_first(self) -> str | None:
        outside = [f"first[{i}]: {json.dumps(value)}" for i, value in enumerate(self.first) if not self.axis.has(value)]
        return f"got {', '.join(outside)}, allowed there: what the parameter itself can be" if outside else None

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


class Searcher(Section):
    """Where the parameters' values come from: all of them, random draws, or what Optuna suggests by results so far."""

    name: Literal["grid", "random", "optuna"] = "grid"
    num_trials: Annotated[Positive | None, Field(validate_default=True)] = None
    """Draws of the parameters' values; each is a trial of every arm and seed."""
    seed: Count = 0
    batch: Positive = 4
    """Suggestions that are asked of Optuna at a time."""

    @field_validator("num_trials")
    @classmethod
    def _how_many(cls, count: int | None, info: ValidationInfo) -> int | None:
        name = info.data.get("name", "grid")
        if count is None and name != "grid":
            raise ValueError(f"required with searcher {name}, but missing; allowed: an integer ≥ 1")
        return count


class Scheduler(Section):
    """Which trials go on: all (fifo), or by results at rungs of a budget.

    halving waits at a rung for all trials and takes the best 1/divisor of them: the same whatever order they come in.
    asha does not wait, and takes who is among the best so far. hyperband: several such races, that start at higher
    rungs. median: ends a trial that is worse than the median of the others.
    """

    name: Literal["fifo", "asha", "halving", "hyperband", "median"] = "fifo"
    budget: Annotated[Name | None, Field(validate_default=True)] = None
    """The config path that rungs set: how far a training goes, how many samples are drawn."""
    rungs: Annotated[Rungs, Field(validate_default=True)] = ()
    divisor: AtLeastTwo = 3
    """One of so many trials goes on from a rung (halving, asha, hyperband)."""
    target: Number | None = None
    """A trial whose metric is as good climbs no further: for a study that asks how much it takes to get there."""

    @field_validator("budget")
    @classmethod
    def _of_what(cls, budget: str | None, info: ValidationInfo) -> str | None:
        name = info.data.get("name", "fifo")
        if budget is None and name != "fifo":
            raise ValueError(f"required with scheduler {name}, but missing; allowed: the config path of a budget")
        return budget

    @field_validator("rungs")
    @classmethod
    def _how_far(cls, rungs: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
        if "name" not in info.data or "budget" not in info.data:
            return rungs
        name, budget = info.data["name"], info.data["budget"]
        least = 1 if name == "fifo" else 2
        if budget is not None and len(rungs) < least:
            raise ValueError(f"got {list(rungs)}, allowed with scheduler {name}: at least {least} amounts of {budget}")
        if budget is None and rungs:
            raise ValueError("got rungs without a budget; name the config path that they set, as budget: …")
        return rungs

    @field_validator("target")
    @classmethod
    def _at_rungs(cls, target: float | None, info: ValidationInfo) -> float | None:
        if target is not None and info.data.get("rungs") == ():
            raise ValueError("got a target without rungs to reach it at; give budget: … and rungs: […]")
        return target
