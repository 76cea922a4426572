"""Events of a run: one small record each, sent from any process to the driver."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from assay.redaction import hide_secrets
from assay.store import Cost

Kind = Literal["started", "progress", "note", "committed", "failed", "warning", "rung", "system", "waiting"]


@dataclass(frozen=True)
class Event:
    """`key` names the stage (or is empty); `trial` is a trial's index, if the event is about one."""

    kind: Kind
    key: str = ""
    trial: int | None = None
    done: int = 0
    """progress: items done so far (train), or since the last event (map). rung: its amount."""
    advance: bool = False
    metrics: Mapping[str, float] = field(default_factory=dict)
    worker: str = ""
    """system: whose metrics these are."""
    message: str = ""
    """rung: the decision. waiting: for whom."""
    cost: Cost | None = None
    """progress: the cost so far; with `advance`, since the last event."""
    note: tuple[str, str | float] | None = None
    """note: its name and its value."""
    once: str = ""
    """warning, waiting: shown once per run, whichever workers emit it and however often."""
    by_another: bool = False
    """committed: by another run, which used the store at the same time and is charged for it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", hide_secrets(self.message))  # it is printed, logged, stored and tracked


Emit = Callable[[Event], None]
