"""Which trials go on from a rung: the schedulers by name, and the section of a sweep that chooses one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from assay.registry import Registry
from assay.sweep.fields import AtLeastTwo, ChoosingSection, Name, Number, Rungs, one_of


@dataclass(frozen=True)
class SchedulerFacts:
    """A scheduler lets trials wait at a rung for all others (`keeps`), or decides as each comes there (`rule`). One
    that does neither lets all of them go on."""

    keeps: Callable[[Scheduler, int], int] | None = None
    """How many of so many trials at a rung go on, the best of them: so it is known beforehand how many climb."""
    rule: str | None = None
    """Import path of a class that decides, an `assay.execution.racing.Rule`."""
    options: type[Scheduler] | None = None
    """The section that reads its options, where it takes others than `Scheduler` has."""

    @property
    def waits_for_all(self) -> bool:
        return self.keeps is not None

    @property
    def races(self) -> bool:
        """Whether it ends trials because others are better."""
        return self.waits_for_all or self.rule is not None


def best_part(scheduler: Scheduler, num_trials: int) -> int:
    return max(1, num_trials // scheduler.divisor)


SCHEDULERS = Registry[SchedulerFacts]("scheduler", "assay.schedulers")
SCHEDULERS.register("fifo", SchedulerFacts())
SCHEDULERS.register("asha", SchedulerFacts(rule="assay.execution.racing:Asha"))
SCHEDULERS.register("halving", SchedulerFacts(keeps=best_part))
SCHEDULERS.register("hyperband", SchedulerFacts(rule="assay.execution.racing:HyperBand"))
SCHEDULERS.register("median", SchedulerFacts(rule="assay.execution.racing:Median"))


class Scheduler(ChoosingSection):
    """Which trials go on: all (fifo), or by results at rungs of a budget.

    halving waits at a rung for all trials and takes the best 1/divisor of them: the same whatever order they come in.
    asha does not wait, and takes who is among the best so far. hyperband: several such races, that start at higher
    rungs. median: ends a trial that is worse than the median of the others.
    """

    registry = SCHEDULERS

    name: Annotated[str, one_of(SCHEDULERS)] = "fifo"
    budget: Annotated[Name | None, Field(validate_default=True)] = None
    """The config path that rungs set: how far a training goes, how many samples are drawn."""
    rungs: Annotated[Rungs, Field(validate_default=True)] = ()
    divisor: AtLeastTwo = 3
    """One of so many trials goes on from a rung (halving, asha, hyperband)."""
    target: Number | None = None
    """A trial whose metric is as good climbs no further: for a study that asks how much it takes to get there."""

    @property
    def facts(self) -> SchedulerFacts:
        return SCHEDULERS[self.name]

    @property
    def may_end_trials(self) -> bool:
        """Whether a trial may climb less than all rungs."""
        return self.facts.races or self.target is not None

    @field_validator("budget")
    @classmethod
    def _of_what(cls, budget: str | None, info: ValidationInfo) -> str | None:
        name = info.data.get("name")
        if budget is None and name is not None and SCHEDULERS[name].races:
            raise ValueError(f"required with scheduler {name}, but missing; allowed: the config path of a budget")
        return budget

    @field_validator("rungs")
    @classmethod
    def _how_far(cls, rungs: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
        if "name" not in info.data or "budget" not in info.data:
            return rungs
        name, budget = info.data["name"], info.data["budget"]
        least = 2 if SCHEDULERS[name].races else 1
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
