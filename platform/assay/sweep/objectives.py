"""What a sweep compares its trials by: one metric, or several metrics and costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator

from assay.sweep.fields import Name
from assay.workload import ReportHints

Mode = Literal["min", "max"]


def _some_objectives(modes: Mapping[str, Mode]) -> Mapping[str, Mode]:
    if not modes:
        raise ValueError("got {}, allowed: at least one metric with its direction, as in {loss: min, accuracy: max}")
    return modes


Modes = Annotated[Mapping[Name, Mode], AfterValidator(_some_objectives)]
"""Metric or cost → the direction that is better."""


@dataclass(frozen=True)
class Objective:
    """A metric or a cost, and which values of it are better."""

    name: str
    mode: Mode

    @property
    def sign(self) -> int:
        """Times a value: smaller is better."""
        return 1 if self.mode == "min" else -1

    def __str__(self) -> str:
        return f"{self.name} ({self.mode})"


def costs_of(hints: ReportHints) -> tuple[str, str]:
    """The costs that may be an objective, or a plot's x: seconds and device-days. Also of the stages of one name, as in
    train.seconds."""
    return "seconds", hints.days.field


def is_cost(hints: ReportHints, name: str) -> bool:
    return name.rpartition(".")[2] in costs_of(hints)
