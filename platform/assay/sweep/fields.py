"""The types of a sweep file's values, with their error messages."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from assay.costs.devices import memory_sizes
from assay.errors import UserError, did_you_mean
from assay.registry import Registry
from assay.workload import JSON
from assay.workload.typed import got

MOST_TRIALS = 20_000
"""The most trials of a sweep."""
MOST_HOURS = 1_000_000
"""The most hours of a run: timers overflow at two and a half times as many."""
RESERVED = "none"
"""Stands for no profile."""
SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


def _safe_name(name: str) -> str:
    if not SAFE_NAME.fullmatch(name):
        raise ValueError(
            f"got {name[:60]!r}, allowed: letters, digits, '-', '_' and '.', starting with a letter or a digit, "
            "at most 128 (it names files)"
        )
    return name


def _not_reserved(name: str) -> str:
    if name.lower() == RESERVED:
        raise ValueError(f"got {name!r}, which stands for no profile; allowed: another name")
    return name


def _non_empty(text: str) -> str:
    if not text.strip():
        raise ValueError(f"got {text!r}, allowed: text that is not empty")
    return text


def _distinct(seeds: tuple[int, ...]) -> tuple[int, ...]:
    repeated = sorted(seed for seed, times in Counter(seeds).items() if times > 1)
    if repeated:
        raise ValueError(f"got {', '.join(map(str, repeated))} more than once, allowed: distinct integers ≥ 0")
    if not seeds:
        raise ValueError("got [], allowed: at least one integer ≥ 0")
    return seeds


def _whole_above_one(gpus: float) -> float:
    # Ray allows fractions of one GPU, but not of several.
    if gpus > 1 and gpus != int(gpus):
        raise ValueError(f"got {gpus}, allowed: a whole number, or a fraction below 1")
    return gpus


def _declared_gpu(name: str) -> str:
    if not memory_sizes(name):
        raise ValueError(
            f"got {name!r}, which is not in the table of devices; allowed: a device as its vendor calls it, with its "
            'memory if it is sold with several sizes, such as "A100-40GB" or "A100-80GB"'
        )
    return name


def _ordered(bounds: tuple[int, int]) -> tuple[int, int]:
    if bounds[0] > bounds[1]:
        raise ValueError(f"got {list(bounds)}, allowed: [min, max] with min ≤ max")
    return bounds


def _some_values(values: tuple[JSON, ...]) -> tuple[JSON, ...]:
    if not values:
        raise ValueError("got [], allowed: at least one value")
    return values


def _increasing(rungs: tuple[int, ...]) -> tuple[int, ...]:
    if list(rungs) != sorted(set(rungs)):
        raise ValueError(f"got {list(rungs)}, allowed: integers ≥ 1 that increase")
    return rungs


Text = Annotated[str, Field(strict=True)]
Name = Annotated[Text, AfterValidator(_non_empty)]
SafeName = Annotated[Text, AfterValidator(_safe_name)]
ProfileName = Annotated[SafeName, AfterValidator(_not_reserved)]
Flag = Annotated[bool, Field(strict=True)]
Count = Annotated[int, Field(strict=True, ge=0)]
Positive = Annotated[int, Field(strict=True, ge=1)]
AtLeastTwo = Annotated[int, Field(strict=True, ge=2)]
NumPoints = Annotated[int, Field(strict=True, ge=2, le=MOST_TRIALS)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
PositiveNumber = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]
Hours = Annotated[float, Field(strict=True, gt=0, le=MOST_HOURS, allow_inf_nan=False)]
Cpus = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
Gpus = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False), AfterValidator(_whole_above_one)]
GpuName = Annotated[Text, AfterValidator(_declared_gpu)]
GpuShare = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]
Bounds = Annotated[tuple[Positive, Positive], AfterValidator(_ordered)]
Seeds = Annotated[tuple[Count, ...], AfterValidator(_distinct)]
Rungs = Annotated[tuple[Positive, ...], AfterValidator(_increasing)]
SomeNames = Annotated[tuple[Name, ...], AfterValidator(_some_values)]
SomeValues = Annotated[tuple[JSON, ...], AfterValidator(_some_values)]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def one_of(registry: Registry[Any]) -> BeforeValidator:
    """The validator of a field that is a name of the registry."""

    def check(name: object) -> object:
        if not isinstance(name, str) or name not in registry:
            hint = did_you_mean(name, registry, "") if isinstance(name, str) else ""
            raise ValueError(f"got {got(name)}, allowed: {', '.join(registry)}{hint}")
        registry[name]  # an entry that cannot be imported is an error at the line of its name
        return name

    return BeforeValidator(check)


class ChoosingSection(Section):
    """A section whose `name` chooses an entry of a registry. An entry with options of its own names a subclass as its
    `options`, which reads the section instead."""

    registry: ClassVar[Registry[Any]]

    @classmethod
    def reader(cls, data: object) -> type[Self]:
        """The class that reads this section: this class if the entry does not exist or cannot be imported, so that the
        field `name` refuses it."""
        name = data.get("name") if isinstance(data, Mapping) else None
        if not isinstance(name, str) or name not in cls.registry:
            return cls
        try:
            return cls.registry[name].options or cls
        except UserError:
            return cls

    @model_validator(mode="after")
    def _has_its_options(self) -> Self:
        name = vars(self)["name"]
        if (own := self.registry[name].options) is not None and not isinstance(self, own):
            raise ValueError(f"{self.registry.noun} {name} has options of its own: make it by {own.__name__}(…)")
        return self
