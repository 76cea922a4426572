"""How many ids a map body is given at a time: as asked, or found by trial while it works.

The trial costs nothing: its batches are real ones, and results do not depend on how ids are batched.
"""

from __future__ import annotations

from typing import Literal

START = 8
LEAST_GAIN = 1.05
"""A batch of twice the size must be this much faster an id to be worth its memory."""
TRIES = 2
"""So often a size may disappoint: one measurement may be a hiccup of the machine."""
MOST_ON_CPU = 128
"""A CPU that runs out of memory ends the process, which no one can catch."""


class BatchSize:
    """The size of the next batch. It starts at START and doubles while that pays, or is as asked from the beginning."""

    def __init__(self, asked: int | Literal["auto"], most: int) -> None:
        self.is_settled = asked != "auto"
        self.size = min(START, most) if asked == "auto" else asked
        self._most = most
        self._is_warm = False
        self._rate = 0.0
        """Ids a second at half this size."""
        self._best_here = 0.0
        self._tries = 0

    def took(self, ids: int, seconds: float) -> None:
        """A batch of so many ids took so long. Only whole ones are compared; the first is the body's warm-up."""
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
        """Halve for good. False where one id alone is too much."""
        self.is_settled = True
        if self.size == 1:
            return False
        self.size //= 2
        return True
