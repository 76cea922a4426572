"""What the workers of a group tell each other, through torch.distributed: the executor has set that up before the body.

Every method is called on every rank, in the same order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Ranks:
    """This worker's place in its group. A group of one needs no torch."""

    rank: int = 0
    size: int = 1

    def gather(self, value: T) -> list[T]:
        """Every rank's value, by rank. Returns once all ranks have called it."""
        if self.size == 1:
            return [value]
        import torch.distributed

        values: list[T | None] = [None] * self.size
        torch.distributed.all_gather_object(values, value)
        return values  # type: ignore[return-value]

    def of_first(self, value: T) -> T:
        """Rank 0's value."""
        return self.gather(value)[0]

    def wait(self) -> None:
        """Until all ranks are here."""
        self.gather(None)


ALONE = Ranks()
