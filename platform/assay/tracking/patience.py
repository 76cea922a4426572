"""How long a command waits for MLflow: as long as it answers, and some seconds more."""

from __future__ import annotations

import math
import time

AN_ANSWER_S = 2.0
"""The time that one answer adds: a server slower than this on average is given up on too."""


class Patience:
    """Runs out after `seconds` without an answer, and sooner if answers are slow throughout.

    Read in one thread and renewed in another. It is unlimited before `begin`, while MLflow is imported.
    """

    def __init__(self) -> None:
        self.seconds = math.inf
        self._until = math.inf

    def begin(self, seconds: float) -> None:
        self.seconds = seconds
        self.renew()

    def renew(self) -> None:
        self._until = time.monotonic() + self.seconds

    def answered(self) -> None:
        self._until = min(self._until + AN_ANSWER_S, time.monotonic() + self.seconds)

    @property
    def left(self) -> float:
        """Seconds; negative once it has run out."""
        return self._until - time.monotonic()
