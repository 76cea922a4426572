"""Cost estimates, of single stages and of sums."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

Basis = Literal["earlier results", "FLOPs"]
"""What an estimate of device-days is based on."""


@dataclass(frozen=True)
class CostEstimate:
    """The cost of one stage, or the sum of several. Stages of unknown cost are counted apart, not as free."""

    device_days: float | None = None
    """None if they are unknown for every stage."""
    seconds: float | None = None
    """One stage after the other, on as many devices as earlier results had; None if unknown for every stage."""
    by: Mapping[Basis, float] = field(default_factory=dict)
    """Basis of the device-days → number of stages."""
    stages: float = 1.0
    """The number of stages; one with a probability of 0.5 counts as 0.5."""
    unknown_days: float = 0.0
    """The number of stages whose device-days are unknown."""
    unknown_seconds: float = 0.0
    """The number of stages whose seconds are unknown."""
    usd: float | None = None
    """Dollars; None if they are unknown for every stage."""
    unknown_usd: float = 0.0
    """The number of stages whose dollars are unknown."""
    devices: tuple[str, ...] = ()
    """The devices whose prices the dollars are by, or would be if these were known."""

    @classmethod
    def of_stage(
        cls,
        device_days: float | None,
        seconds: float | None,
        basis: Basis | None = None,
        usd: float | None = None,
        device: str = "",
    ) -> CostEstimate:
        by: dict[Basis, float] = {} if basis is None else {basis: 1.0}
        return cls(
            device_days,
            seconds,
            by,
            unknown_days=float(device_days is None),
            unknown_seconds=float(seconds is None),
            usd=usd,
            unknown_usd=float(usd is None),
            devices=(device,) if device else (),
        )

    def part(self, share: float) -> CostEstimate:
        """The same stages, each with only this share of its work left."""
        return replace(
            self,
            device_days=_times(self.device_days, share),
            seconds=_times(self.seconds, share),
            usd=_times(self.usd, share),
        )

    def expected(self, chance: float) -> CostEstimate:
        """The expected cost, if the stages are needed with this probability."""
        return CostEstimate(
            _times(self.device_days, chance),
            _times(self.seconds, chance),
            {basis: stages * chance for basis, stages in self.by.items()},
            self.stages * chance,
            self.unknown_days * chance,
            self.unknown_seconds * chance,
            _times(self.usd, chance),
            self.unknown_usd * chance,
            self.devices,
        )

    def __add__(self, other: CostEstimate) -> CostEstimate:
        return CostEstimate(
            _plus(self.device_days, other.device_days),
            _plus(self.seconds, other.seconds),
            {basis: self.by.get(basis, 0.0) + other.by.get(basis, 0.0) for basis in {**self.by, **other.by}},
            self.stages + other.stages,
            self.unknown_days + other.unknown_days,
            self.unknown_seconds + other.unknown_seconds,
            _plus(self.usd, other.usd),
            self.unknown_usd + other.unknown_usd,
            tuple(dict.fromkeys((*self.devices, *other.devices))),
        )


NOTHING = CostEstimate(stages=0.0)
"""The sum of no stages."""
FREE = CostEstimate.of_stage(0.0, 0.0, usd=0.0)
"""A stage that is stored or not needed."""


def sum_of(estimates: Iterable[CostEstimate]) -> CostEstimate:
    return sum(estimates, NOTHING)


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _plus(first: float | None, second: float | None) -> float | None:
    return second if first is None else first if second is None else first + second
