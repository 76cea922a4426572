"""What fits on a cluster: units that each need one machine, beside what is already running."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

Machine = Mapping[str, float]
"""Resource → amount."""
Units = tuple[Mapping[str, float], int]
"""What one unit takes, and the number of units."""
EPSILON = 1e-9


def total(machines: Iterable[Machine]) -> dict[str, float]:
    """Resource → amount, summed over machines."""
    sums: Counter[str] = Counter()
    for machine in machines:
        sums.update(machine)
    return dict(sums)


def how_many(machines: Sequence[Machine], unit: Mapping[str, float], most: int, beside: Iterable[Units] = ()) -> int:
    """How many units fit, up to `most`, beside others, which are assumed to be on the first machines with room.

    Ray may have placed them otherwise: a unit admitted too early waits until one of them ends, no longer.
    """
    free = [dict(machine) for machine in machines]
    for other, count in beside:
        _place(free, other, count)
    return _place(free, unit, most)


def _place(free: list[dict[str, float]], unit: Mapping[str, float], most: int) -> int:
    """Place units on machines; returns how many fit."""
    placed = 0
    for machine in free:
        if placed == most:
            break
        fit: float = min([most - placed, *(_times(machine.get(name, 0.0), amount) for name, amount in unit.items())])
        for name, amount in unit.items():
            machine[name] = machine.get(name, 0.0) - fit * amount
        placed += int(fit)
    return placed


def _times(free: float, amount: float) -> float:
    """How often `amount` fits into `free`. Ray takes a fraction from a single GPU, and so for every resource."""
    if free == float("inf"):
        return free
    if amount >= 1:
        return int((free + EPSILON) / amount)
    whole = int(free + EPSILON)
    return whole * int((1 + EPSILON) / amount) + int((free - whole + EPSILON) / amount)
