"""What a run tells its user: one small record a happening, from wherever it happens to the driver."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from assay.store import Cost
from assay.text import hide_secrets

Kind = Literal["started", "progress", "note", "committed", "failed", "warning", "rung"]


@dataclass(frozen=True)
class Event:
    """`key` names the stage (or is empty); `trial` the trial's index where one is meant."""

    kind: Kind
    key: str = ""
    trial: int | None = None
    done: int = 0
    """progress: items done so far (train), or since the last event (map). rung: its amount."""
    advance: bool = False
    metrics: Mapping[str, float] = field(default_factory=dict)
    message: str = ""
    """rung: what was decided there."""
    cost: Cost | None = None
    """progress: what its result would be charged with now; where `advance`, what came since the last event."""
    note: tuple[str, str | float] | None = None
    """note: its name and its value."""
    once: str = ""
    """warning: what is told once a run, whichever stages and workers say it, and however often they start again."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", hide_secrets(self.message))  # it is printed, logged, stored and tracked


Emit = Callable[[Event], None]
