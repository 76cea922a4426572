"""The kinds of values that config sections are made of. Strict: 3.0 is no count, "yes" no truth value.

Every number has bounds, so that whatever is computed from it is finite, too: no count is more than 32 bits hold, and no
number more than float32 does.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _without_sign(value: float) -> float:
    return value or 0.0


Unsigned = AfterValidator(_without_sign)
"""-0.0 is 0.0: one number has one spelling, and so one key."""
LARGEST_COUNT, LARGEST_FLOAT = 2**31 - 1, 1e30

PositiveInt = Annotated[int, Field(strict=True, ge=1, le=LARGEST_COUNT)]
CountInt = Annotated[int, Field(strict=True, ge=0, le=LARGEST_COUNT)]
PositiveFloat = Annotated[float, Field(strict=True, gt=0, le=LARGEST_FLOAT)]
NonNegativeFloat = Annotated[float, Field(strict=True, ge=0, le=LARGEST_FLOAT), Unsigned]
Fraction = Annotated[float, Field(strict=True, ge=0, lt=1), Unsigned]
Share = Annotated[float, Field(strict=True, ge=0.001, le=1)]
Seed = Annotated[int, Field(strict=True, ge=0, le=2**64 - 1)]
"""What the random number generators take."""
Bool = Annotated[bool, Field(strict=True)]
Str = Annotated[str, Field(strict=True)]


def _path(value: str) -> str:
    if not value or "\0" in value:
        raise ValueError(f"got {value!r}, allowed: the path of a file or folder, or null")
    return value


FilePath = Annotated[Str, AfterValidator(_path)]
"""As the user writes it: from where she stands, from ~ or from the root."""


class Section(BaseModel):
    """A section of the config: frozen, and without keys that nobody knows."""

    model_config = ConfigDict(frozen=True, extra="forbid")
