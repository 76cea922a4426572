"""How long a command waits for MLflow: as long as it answers, and seconds once it does not."""

from __future__ import annotations

import math
import time

AN_ANSWER_S = 2.0
"""What an answer buys: a server that is slower than this on the whole is given up as well."""


class Patience:
    """Runs out after `seconds` without an answer, and sooner where answers are slow throughout.

    It is asked in one thread and told in another. Before `begin`, MLflow is being imported, which takes as long as it
    takes.
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
