"""Runs a plan: decides who computes what (broker), and computes it (inline, on_ray)."""

from assay.execution.engine import Listener, Outcome, TrialOutcome, run
from assay.execution.events import Event
from assay.execution.pause import Pause

__all__ = ["Event", "Listener", "Outcome", "Pause", "TrialOutcome", "run"]
