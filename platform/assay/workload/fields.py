"""Types of values in config sections. Strict: 3.0 is not a count, "yes" not a boolean.

Every number has bounds, so that everything computed from it is finite: counts fit 32 bits, and other numbers fit
float32.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from assay.workload.stage import JSON


def _without_sign(value: float) -> float:
    return value or 0.0


Unsigned = AfterValidator(_without_sign)
"""-0.0 becomes 0.0: one number has one spelling, and so one key."""
LARGEST_COUNT, LARGEST_FLOAT = 2**31 - 1, 1e30

PositiveInt = Annotated[int, Field(strict=True, ge=1, le=LARGEST_COUNT)]
CountInt = Annotated[int, Field(strict=True, ge=0, le=LARGEST_COUNT)]
PositiveFloat = Annotated[float, Field(strict=True, gt=0, le=LARGEST_FLOAT)]
NonNegativeFloat = Annotated[float, Field(strict=True, ge=0, le=LARGEST_FLOAT), Unsigned]
Fraction = Annotated[float, Field(strict=True, ge=0, lt=1), Unsigned]
Share = Annotated[float, Field(strict=True, ge=0.001, le=1)]
Seed = Annotated[int, Field(strict=True, ge=0, le=2**64 - 1)]
"""The range that random number generators accept."""
Bool = Annotated[bool, Field(strict=True)]
Str = Annotated[str, Field(strict=True)]


def _path(value: str) -> str:
    if not value or "\0" in value:
        raise ValueError(f"got {value!r}, allowed: the path of a file or folder, or null")
    return value


FilePath = Annotated[Str, AfterValidator(_path)]
"""As the user writes it: relative, from ~, or absolute."""


class _Added:
    """The type of ADDED."""


ADDED = _Added()
"""Marks an option that a section got after results had been stored: `label_dropout: Annotated[Share | None,
ADDED] = None`. At its default it is not in keys, so those results keep theirs."""


class Section(BaseModel):
    """A section of the config: frozen, and without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def for_key(self, include: Collection[str] | None = None, exclude: Collection[str] = ()) -> dict[str, JSON]:
        """The options as JSON, for a stage's config and so its key. ADDED ones are left out at their defaults."""
        values = self.model_dump(mode="json", include=None if include is None else {*include}, exclude={*exclude})
        added = {name: field for name, field in type(self).model_fields.items() if ADDED in field.metadata}
        unset = {n for n, field in added.items() if getattr(self, n) == field.get_default(call_default_factory=True)}
        return {name: value for name, value in values.items() if name not in unset}
