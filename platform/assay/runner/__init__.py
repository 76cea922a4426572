"""Runs a plan: decides who computes what (broker), and computes it (inline, on_ray)."""

from assay.runner.engine import Listener, Outcome, TrialOutcome, run
from assay.runner.events import Event
from assay.runner.pause import Pause

__all__ = ["Event", "Listener", "Outcome", "Pause", "TrialOutcome", "run"]
