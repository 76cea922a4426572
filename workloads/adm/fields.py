"""The kinds of values that config sections are made of. Strict: 3.0 is no count, "yes" no truth value."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

PositiveInt = Annotated[int, Field(strict=True, ge=1)]
CountInt = Annotated[int, Field(strict=True, ge=0)]
PositiveFloat = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(strict=True, ge=0, lt=1)]
Share = Annotated[float, Field(strict=True, gt=0, le=1)]
Seed = Annotated[int, Field(strict=True, ge=0, le=2**64 - 1)]
"""What the random number generators take."""
Bool = Annotated[bool, Field(strict=True)]
Str = Annotated[str, Field(strict=True)]


class Section(BaseModel):
    """A section of the config: frozen, and without keys that nobody knows."""

    model_config = ConfigDict(frozen=True, extra="forbid")
