"""The batch size of a map body: as configured, or found by trial during the work.

Trying costs nothing: its batches are real ones, and results do not depend on how ids are batched.
"""

from __future__ import annotations

from typing import Literal

START = 8
LEAST_GAIN = 1.05
"""Doubling must make an id at least this much faster to be worth the memory."""
TRIES = 2
"""How often a size is tried before giving up on it: one slow measurement may be noise."""
MOST_ON_CPU = 128
"""On a CPU, running out of memory kills the process, which cannot be caught."""


class BatchSize:
    """The size of the next batch: fixed, or with "auto" it starts at START and doubles while that pays."""

    def __init__(self, configured: int | Literal["auto"], most: int) -> None:
        self.is_settled = configured != "auto"
        self.size = min(START, most) if configured == "auto" else configured
        self._most = most
        self._is_warm = False
        self._rate = 0.0
        """Ids per second at half this size."""
        self._best_here = 0.0
        self._tries = 0

    def took(self, ids: int, seconds: float) -> None:
        """Record the time of a batch. Only full batches are compared; the first is the body's warm-up."""
        if self.is_settled or ids != self.size:
            return
        if not self._is_warm:
            self._is_warm = True
            return
        self._best_here = max(self._best_here, ids / max(seconds, 1e-9))
        self._tries += 1
        if self._best_here >= LEAST_GAIN * self._rate:
            if 2 * self.size > self._most:
                self.is_settled = True
            else:
                self.size, self._rate = 2 * self.size, self._best_here
            self._best_here, self._tries = 0.0, 0
        elif self._tries == TRIES:
            self.size //= 2
            self.is_settled = True

    def ran_out_of_memory(self) -> bool:
        """Halve for good. Returns False if even one id is too much."""
        self.is_settled = True
        if self.size == 1:
            return False
        self.size //= 2
        return True
