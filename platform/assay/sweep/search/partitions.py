"""Compositions of `units` into `parts` parts of at most `cap` each: count them, list them, or get one by its rank.

They are in lexicographic order: [0, 0, 3] comes before [0, 1, 2].
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from math import comb, floor


def count(parts: int, units: int, cap: int) -> int:
    """The number of compositions, by inclusion-exclusion over the parts that exceed the cap."""
    if parts == 0:
        return int(units == 0)
    return _with_slack(parts, parts - 1, units, cap)


def _with_slack(capped: int, dividers: int, units: int, cap: int) -> int:
    """The number of compositions with `capped` capped parts among dividers + 1 parts."""
    over = units // (cap + 1) if units >= 0 else -1
    return sum(
        (-1) ** j * comb(capped, j) * comb(units - j * (cap + 1) + dividers, dividers)
        for j in range(min(capped, over) + 1)
    )


def every(parts: int, units: int, cap: int) -> Iterator[list[int]]:
    """All compositions, in order."""
    if parts == 1:
        if 0 <= units <= cap:
            yield [units]
        return
    for first in range(max(0, units - (parts - 1) * cap), min(cap, units) + 1):
        for rest in every(parts - 1, units - first, cap):
            yield [first, *rest]


def nth(rank: int, parts: int, units: int, cap: int) -> list[int]:
    """The composition with this rank, without listing those before it."""
    composition: list[int] = []
    while len(composition) < parts - 1:
        others = parts - len(composition) - 1

        def before(first: int, others: int = others, units: int = units) -> int:
            """The number of compositions with a smaller first part: an uncapped part takes the rest."""
            return _with_slack(others, others, units, cap) - _with_slack(others, others, units - first, cap)

        first = bisect_right(range(min(cap, units) + 1), rank, key=before) - 1
        rank -= before(first)
        units -= first
        composition.append(first)
    return [*composition, units]


def apportion(weights: Sequence[float], units: int, cap: int) -> list[int]:
    """Distribute the units in proportion to the weights, by largest remainders; the excess over the cap goes to the
    others."""
    shares = [0.0] * len(weights)
    free, left = list(range(len(weights))), units
    while free:
        total = sum(weights[i] for i in free)
        for i in free:
            shares[i] = left * (weights[i] / total if total else 1 / len(free))
        full = [i for i in free if shares[i] > cap]
        if not full:
            break
        for i in full:
            shares[i] = cap
        left -= cap * len(full)
        free = [i for i in free if i not in full]
    whole = [min(floor(share), cap) for share in shares]
    by_remainder = sorted(range(len(weights)), key=lambda i: (whole[i] - shares[i], i))
    for i in [i for i in by_remainder if whole[i] < cap][: units - sum(whole)]:
        whole[i] += 1
    return whole
