"""What fits on a cluster: units that each need one machine, beside what runs there already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

Machine = Mapping[str, float]
"""Resource → amount."""
Units = tuple[Mapping[str, float], int]
"""What one unit takes, and how many of them there are."""
EPSILON = 1e-9


def total(machines: Iterable[Machine]) -> dict[str, float]:
    """Resource → amount, of all together."""
    sums: Counter[str] = Counter()
    for machine in machines:
        sums.update(machine)
    return dict(sums)


def how_many(machines: Sequence[Machine], unit: Mapping[str, float], most: int, beside: Iterable[Units] = ()) -> int:
    """How many units fit, up to `most`, beside others. Those are taken to lie on the first machines that have room.

    Ray may have put them elsewhere: who is let in too early waits for one of them to end, and no longer.
    """
    free = [dict(machine) for machine in machines]
    for other, count in beside:
        _place(free, other, count)
    return _place(free, unit, most)


def _place(free: list[dict[str, float]], unit: Mapping[str, float], most: int) -> int:
    """Put units on machines; returns how many found a place."""
    placed = 0
    for machine in free:
        here: float = min([most - placed, *(_times(machine.get(name, 0.0), amount) for name, amount in unit.items())])
        for name, amount in unit.items():
            machine[name] = machine.get(name, 0.0) - here * amount
        placed += int(here)
    return placed


def _times(free: float, amount: float) -> float:
    """How often an amount is in what is free. Ray gives parts of a GPU from one GPU, and so of any resource."""
    if free == float("inf"):
        return free
    if amount >= 1:
        return int((free + EPSILON) / amount)
    whole = int(free + EPSILON)
    return whole * int((1 + EPSILON) / amount) + int((free - whole + EPSILON) / amount)
