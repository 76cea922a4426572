"""The keys of a sweep file, typed and frozen. What they mean together is checked in assay.spec.check."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, ValidationInfo, field_validator

from assay.spec.expand import Trial, expand
from assay.workload import JSON, Workload, load_workload

SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


def _safe_name(name: str) -> str:
    if not SAFE_NAME.fullmatch(name):
        raise ValueError(
            f"got {name[:60]!r}, allowed: letters, digits, '-', '_' and '.', starting with a letter or a digit, "
            "at most 128 (it names files and the experiment)"
        )
    return name


def _non_empty(text: str) -> str:
    if not text.strip():
        raise ValueError(f"got {text!r}, allowed: text that is not empty")
    return text


def _distinct(seeds: tuple[int, ...]) -> tuple[int, ...]:
    twice = sorted({seed for seed in seeds if seeds.count(seed) > 1})
    if twice:
        raise ValueError(f"got {', '.join(map(str, twice))} more than once, allowed: distinct integers ≥ 0")
    if not seeds:
        raise ValueError("got [], allowed: at least one integer ≥ 0")
    return seeds


def _whole_above_one(gpus: float) -> float:
    # Ray shares one GPU between tasks, but gives several only whole.
    if gpus > 1 and gpus != int(gpus):
        raise ValueError(f"got {gpus}, allowed: a whole number, or a fraction below 1")
    return gpus


def _ordered(bounds: tuple[int, int]) -> tuple[int, int]:
    if bounds[0] > bounds[1]:
        raise ValueError(f"got {list(bounds)}, allowed: [min, max] with min ≤ max")
    return bounds


def _some_values(values: tuple[JSON, ...] | None) -> tuple[JSON, ...] | None:
    if values == ():
        raise ValueError("got [], allowed: at least one value")
    return values


def _increasing(rungs: tuple[int, ...]) -> tuple[int, ...]:
    if list(rungs) != sorted(set(rungs)):
        raise ValueError(f"got {list(rungs)}, allowed: integers ≥ 1 that increase")
    return rungs


Text = Annotated[str, Field(strict=True)]
Name = Annotated[Text, AfterValidator(_non_empty)]
Count = Annotated[int, Field(strict=True, ge=0)]
Positive = Annotated[int, Field(strict=True, ge=1)]
Flag = Annotated[bool, Field(strict=True)]
Points = Annotated[int, Field(strict=True, ge=2)]
Cpus = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
Gpus = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False), AfterValidator(_whole_above_one)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PartitionOf(Section):
    """Integer lists with a fixed total: every part is `min` plus a multiple of `step`, and at most `max`."""

    total: Positive
    parts: Positive
    step: Positive = 1
    min: Count = 0
    max: Positive | None = None
    """None: the total."""


class Parameter(Section):
    """What one config path takes: one of `values`, a number from `min` to `max`, or a `partition`."""

    values: Annotated[tuple[JSON, ...] | None, AfterValidator(_some_values)] = None
    min: Number | None = None
    max: Number | None = None
    log: Flag = False
    num: Points | None = None
    """Of a grid over the range."""
    int: Flag = False
    step: Positive | None = None
    """Between the integers of a range."""
    partition: PartitionOf | None = None
    when: Mapping[str, JSON] = {}
    """Config path → value: it is set only in trials that have these."""


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
    """Which trials go on: all (fifo), or by results at rungs of a budget."""

    name: Literal["fifo", "asha", "hyperband", "median"] = "fifo"
    budget: Annotated[Name | None, Field(validate_default=True)] = None
    """The config path that rungs set: how far a training goes, how many samples are drawn."""
    rungs: Annotated[tuple[Positive, ...], AfterValidator(_increasing), Field(validate_default=True)] = ()
    divisor: Annotated[int, Field(strict=True, ge=2)] = 3
    """One of so many trials goes on from a rung (asha, hyperband)."""

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


class TrainResources(Section):
    workers: Positive | Annotated[tuple[Positive, Positive], AfterValidator(_ordered)] = 1
    """A number, or [min, max]: what the cluster has room for when the group starts, and starts again."""
    cpus_per_worker: Cpus = 1
    gpus_per_worker: Gpus = 0

    @property
    def least_workers(self) -> int:
        return self.workers if isinstance(self.workers, int) else self.workers[0]

    @property
    def most_workers(self) -> int:
        return self.workers if isinstance(self.workers, int) else self.workers[1]


class SampleResources(Section):
    actors: Annotated[tuple[Positive, Positive], AfterValidator(_ordered)] = (1, 1)
    """[min, max]: how wide the fan-out may grow."""
    cpus_per_actor: Cpus = 1
    gpus_per_actor: Gpus = 0


class ReduceResources(Section):
    cpus: Cpus = 1
    gpus: Gpus = 0


class Resources(Section):
    """What each kind of stage asks of the cluster."""

    train: TrainResources = TrainResources()
    sample: SampleResources = SampleResources()
    reduce: ReduceResources = ReduceResources()


class Limits(Section):
    """Reaching one pauses the sweep."""

    v100_days: Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)] | None = None
    hours: Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)] | None = None
    trials: Positive | None = None
    concurrent_trials: Positive | None = None
    """None: as many as the cluster holds."""
    retries: Count = 3


class ReferenceRow(BaseModel):
    """Published numbers of one arm: `when` says which, every other key is a metric."""

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: dict[str, Number] = Field(init=False)

    when: Mapping[str, JSON] = {}

    @property
    def metrics(self) -> Mapping[str, float]:
        return dict(self.__pydantic_extra__)


class Reference(Section):
    source: Text = ""
    rows: tuple[ReferenceRow, ...] = ()


class Plot(Section):
    kind: Literal["bar", "line", "scatter"]
    x: Name
    y: Name


class Report(Section):
    plots: tuple[Plot, ...] = ()


class Sweep(Section):
    """One study, as written, with its profile and --set applied."""

    version: Annotated[int, Field(strict=True, ge=1, le=1)]
    name: Annotated[Text, AfterValidator(_safe_name)]
    description: Text = ""
    workload: Name
    base: Name
    config: Mapping[str, JSON] = {}
    parameters: Mapping[Name, Parameter] = {}
    arms: Mapping[Name, Mapping[str, JSON]] = {}
    arms_mode: Literal["each", "cumulative", "grid"] = "each"
    """Arms alone; each on top of those before it; or every subset of them."""
    searcher: Searcher = Searcher()
    scheduler: Scheduler = Scheduler()
    metric: Name
    mode: Literal["min", "max"]
    seeds: Annotated[tuple[Count, ...], AfterValidator(_distinct)] = (0,)
    resources: Resources = Resources()
    limits: Limits = Limits()
    reference: Reference = Reference()
    report: Report = Report()
    profiles: Mapping[Name, Mapping[str, Any]] = {}

    _workload: Workload | None = PrivateAttr(None)
    _file: str = PrivateAttr("")
    _profile: str | None = PrivateAttr(None)
    _sets: tuple[str, ...] = PrivateAttr(())

    @property
    def file(self) -> str:
        """Where it was read from; empty for a sweep that was built in Python."""
        return self._file

    @property
    def profile(self) -> str | None:
        return self._profile

    @property
    def sets(self) -> tuple[str, ...]:
        return self._sets

    def find_workload(self) -> Workload:
        return self._workload if self._workload is not None else load_workload(self.workload)

    def trials(self, suggested: Sequence[Mapping[str, JSON]] = ()) -> list[Trial]:
        """Every trial, in the order of the file: arms, then the grid of parameters, then seeds."""
        values = {path: list(space.values or ()) for path, space in self.parameters.items()}
        return expand(self.find_workload(), self.base, self.config, self.arms, values, self.seeds)
