"""Run a plan: find out what is stored (engine), and have an executor compute the rest (inline, ray)."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from assay.events import Event
from assay.execution.pause import Pause

if TYPE_CHECKING:
    from assay.execution.engine import Listener, run
    from assay.results import Outcome, TrialOutcome

__all__ = ["Event", "Listener", "Outcome", "Pause", "TrialOutcome", "run"]

OF_THE_DRIVER = {
    "Listener": "assay.execution.engine",
    "run": "assay.execution.engine",
    "Outcome": "assay.results",
    "TrialOutcome": "assay.results",
}


def __getattr__(name: str) -> Any:
    """Import on first use what a cluster's workers do not need: every import delays their start."""
    if name in OF_THE_DRIVER:
        return getattr(import_module(OF_THE_DRIVER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
