"""Run a plan: find out what is stored (engine), and have an executor compute the rest (inline, ray)."""

from assay.events import Event
from assay.execution.engine import Listener, run
from assay.execution.pause import Pause
from assay.results import Outcome, TrialOutcome

__all__ = ["Event", "Listener", "Outcome", "Pause", "TrialOutcome", "run"]
