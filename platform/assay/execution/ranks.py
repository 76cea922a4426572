"""Communication between the workers of a group by torch.distributed, which the executor sets up before the body runs.

Every method is called on all ranks, in the same order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Ranks:
    """This worker's rank in its group. A group of one needs no torch."""

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
        """Wait until all ranks have called it."""
        self.gather(None)


ALONE = Ranks()
