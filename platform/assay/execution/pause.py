"""Pausing a run: trainings save checkpoints and leave, results stay stored, and the same command resumes.

Ctrl-C arrives in `cli/commands/run.py`; a training notices it as `ctx.leaving` (`workload/checkpointed.py`).
"""

from __future__ import annotations

import threading


class Paused(Exception):
    """Raised out of a stage that is left because its run pauses: not a failure, the next run continues it."""


class Pause:
    """Asks a run to pause, from a signal handler or another thread. The first reason counts."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self.is_limit = False
        """Whether the reason is a limit of the sweep."""
        self.is_heard = False
        """Whether a run is listening: before that, there is nothing to save."""
        self._asked = threading.Event()

    def ask(self, reason: str, *, is_limit: bool = False) -> None:
        if self.reason is None:
            self.reason, self.is_limit = reason, is_limit
        self._asked.set()

    def wait(self, timeout_s: float) -> bool:
        """Whether a pause was requested before the timeout."""
        return self._asked.wait(timeout_s)
