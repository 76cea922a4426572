"""Named deltas against the base: each alone, each on top of those before it, or every subset of them.

Arms with an empty delta are the base itself: they are trials of their own, and no part of a combination.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from assay.text import printable
from assay.workload import JSON

Arms = Mapping[str, Mapping[str, JSON]]
AND = " + "


@dataclass(frozen=True)
class Arm:
    """What a trial starts from: none, one or several of the sweep's arms."""

    name: str | None
    """ "AdaGN + multi-resolution"; None in a sweep without arms."""
    members: tuple[str, ...]
    delta: Mapping[str, JSON]
    origins: Mapping[str, str]
    """Path → the member that set it: the last that does."""

    @property
    def label(self) -> str | None:
        """Its name as it is shown: on a line, without what a terminal obeys."""
        return None if self.name is None else printable(self.name, is_line=True)

    @classmethod
    def of(cls, arms: Arms, members: Sequence[str], name: str | None = None) -> Arm:
        origins = {path: member for member in members for path in arms[member]}
        delta = {path: arms[member][path] for path, member in origins.items()}
        return cls(AND.join(members) if name is None else name, tuple(members), delta, origins)


def combine(arms: Arms, mode: str, base: str) -> list[Arm]:
    """The arms of a sweep's trials, in order. The subset without any is named after the base."""
    if not arms:
        return [Arm(None, (), {}, {})]
    if mode == "cumulative":
        return list(_cumulative(arms))
    if mode == "grid":
        return list(_subsets(arms, base))
    return [Arm.of(arms, [name]) for name in arms]


def count(arms: Arms, mode: str) -> int:
    """How many `combine` makes, without making them."""
    deltas = sum(bool(delta) for delta in arms.values())
    if not arms or mode != "grid":
        return max(len(arms), 1)
    return 2**deltas - 1 + max(len(arms) - deltas, 1)


def _cumulative(arms: Arms) -> Iterator[Arm]:
    so_far: list[str] = []
    for name, delta in arms.items():
        so_far += [name] if delta else []
        yield Arm.of(arms, so_far if delta else [name])


def _subsets(arms: Arms, base: str) -> Iterator[Arm]:
    """The smaller ones first."""
    empty = [name for name, delta in arms.items() if not delta]
    yield from [Arm.of(arms, [name]) for name in empty] or [Arm.of(arms, [], base)]
    full = [name for name, delta in arms.items() if delta]
    for size in range(1, len(full) + 1):
        for members in itertools.combinations(full, size):
            yield Arm.of(arms, members)
