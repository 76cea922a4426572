"""What work would cost: the one shape of an estimate, for a stage and for the sum of many."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

Basis = Literal["earlier results", "FLOPs"]
"""What device-days are estimated by."""


@dataclass(frozen=True)
class CostEstimate:
    """The cost of one stage, or of several together.

    Stages whose cost is unknown are counted, not taken for free: a sum that hides them would be a lie.
    """

    device_days: float | None = None
    """None where no part is known."""
    seconds: float | None = None
    """One stage after the other, on as many devices as earlier results had; None where no part is known."""
    by: Mapping[Basis, float] = field(default_factory=dict)
    """What the device-days are estimated by → for how many stages."""
    stages: float = 1.0
    """How many; one that is needed with a chance of 0.5 counts as half a stage."""
    unknown_days: float = 0.0
    """How many stages have no device-days."""
    unknown_seconds: float = 0.0
    """How many stages have no seconds."""

    @classmethod
    def of_stage(cls, device_days: float | None, seconds: float | None, basis: Basis | None = None) -> CostEstimate:
        by: dict[Basis, float] = {} if basis is None else {basis: 1.0}
        return cls(device_days, seconds, by, 1.0, float(device_days is None), float(seconds is None))

    def part(self, share: float) -> CostEstimate:
        """The same stages, of which only a share is left to do."""
        return replace(self, device_days=_times(self.device_days, share), seconds=_times(self.seconds, share))

    def expected(self, chance: float) -> CostEstimate:
        """The same stages where they are needed with this chance."""
        return CostEstimate(
            _times(self.device_days, chance),
            _times(self.seconds, chance),
            {basis: stages * chance for basis, stages in self.by.items()},
            self.stages * chance,
            self.unknown_days * chance,
            self.unknown_seconds * chance,
        )

    def __add__(self, other: CostEstimate) -> CostEstimate:
        return CostEstimate(
            _plus(self.device_days, other.device_days),
            _plus(self.seconds, other.seconds),
            {basis: self.by.get(basis, 0.0) + other.by.get(basis, 0.0) for basis in {**self.by, **other.by}},
            self.stages + other.stages,
            self.unknown_days + other.unknown_days,
            self.unknown_seconds + other.unknown_seconds,
        )


NOTHING = CostEstimate(stages=0.0)
"""The sum of no stages."""
FREE = CostEstimate.of_stage(0.0, 0.0)
"""A stage that is stored, or that nobody needs."""


def together(estimates: Iterable[CostEstimate]) -> CostEstimate:
    return sum(estimates, NOTHING)


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _plus(one: float | None, other: float | None) -> float | None:
    return other if one is None else one if other is None else one + other
