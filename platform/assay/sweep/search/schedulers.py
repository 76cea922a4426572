"""Schedulers, which decide the trials to promote from a rung, by name; and the section of a sweep that chooses one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from assay.registry import Registry
from assay.sweep.fields import AtLeastTwo, ChoosingSection, Name, Number, Rungs, one_of


@dataclass(frozen=True)
class SchedulerFacts:
    """A scheduler decides at a rung once all trials have reached it (`keeps`, `judge`), or for each trial at once
    (`rule`). One without any promotes all trials."""

    keeps: Callable[[Scheduler, int], int] | None = None
    """The number of trials to promote, the best ones, by the number of trials at the rung."""
    rule: str | None = None
    """Import path of a class that decides, an `assay.execution.racing.Rule`."""
    judge: str | None = None
    """Import path of a function like `assay.execution.race.judge`, which decides by the intervals of the metric."""
    options: type[Scheduler] | None = None
    """The section that reads its options, if it has other options than `Scheduler`."""

    @property
    def waits_for_all(self) -> bool:
        return self.keeps is not None or self.judge is not None

    @property
    def needs_intervals(self) -> bool:
        """Whether it decides by jackknife replicates of the metric."""
        return self.judge is not None

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
    """Which trials to promote: all (fifo), or by results at rungs of a budget.

    halving waits at a rung for all trials and promotes the best 1/divisor of them, whatever order they arrive in. asha
    does not wait: it promotes trials among the best so far. hyperband runs several such races, which start at higher
    rungs. median stops trials that are worse than the median of the others. race waits like halving, and stops those
    that are worse than the best beyond their noise, until one is left or the others cannot be much better.
    """

    registry = SCHEDULERS

    name: Annotated[str, one_of(SCHEDULERS)] = "fifo"
    """How it decides."""
    budget: Annotated[Name | None, Field(validate_default=True)] = None
    """The config path that rungs set, such as the length of a training or the number of samples."""
    rungs: Annotated[Rungs, Field(validate_default=True)] = ()
    """The amounts of the budget, ascending, at which it decides."""
    divisor: AtLeastTwo = 3
    """One in this many trials is promoted from a rung (halving, asha, hyperband)."""
    target: Number | None = None
    """A trial whose metric is at least as good is not promoted further: for studies of the budget it takes."""

    @property
    def facts(self) -> SchedulerFacts:
        return SCHEDULERS[self.name]

    @property
    def may_end_trials(self) -> bool:
        """Whether a trial may end before the last rung."""
        return self.facts.races or self.target is not None

    @field_validator("budget")
    @classmethod
    def _is_required(cls, budget: str | None, info: ValidationInfo) -> str | None:
        name = info.data.get("name")
        if budget is None and name is not None and SCHEDULERS[name].races:
            raise ValueError(f"required with scheduler {name}, but missing; allowed: the config path of a budget")
        return budget

    @field_validator("rungs")
    @classmethod
    def _rungs_fit(cls, rungs: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
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
    def _target_fits(cls, target: float | None, info: ValidationInfo) -> float | None:
        if target is not None and info.data.get("rungs") == ():
            raise ValueError("got a target without rungs to reach it at; give budget: … and rungs: […]")
        return target


class Race(Scheduler):
    """A scheduler that ends trials by the intervals of their differences."""

    confidence: Annotated[float, Field(gt=0.5, lt=1, allow_inf_nan=False)] = 0.95
    """How likely the winner is the best, or within the indifference of it, as far as sampling noise goes. All trials
    and rungs together: each interval is wider, the more of them there are."""
    indifference: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] = 0.02
    """The difference that does not matter, as a share of the leader's value (without the bias that the jackknife finds
    in it). The race ends as a tie once all that are left differ from the leader by less, and none can be better by
    more."""


SCHEDULERS.register("race", SchedulerFacts(judge="assay.execution.race:judge", options=Race))
