"""A run that is told to pause: trainings save and leave, what is stored stays, and the same command goes on."""

from __future__ import annotations

import threading


class Paused(Exception):
    """Raised out of a stage that was left because its run pauses: not a failure, the next run goes on with it."""


class Pause:
    """How to ask a run to pause, from a signal handler or another thread. The first reason counts."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self.is_heard = False
        """Whether a run listens: before it does, there is nothing to save."""
        self._asked = threading.Event()

    def ask(self, reason: str) -> None:
        if self.reason is None:
            self.reason = reason
        self._asked.set()

    def wait(self, timeout_s: float) -> bool:
        """Whether the run was asked to pause, by then."""
        return self._asked.wait(timeout_s)
