"""What fits on a cluster: units that each need one machine, beside what is already running."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

Machine = Mapping[str, float]
"""Resource → amount."""
Units = tuple[Mapping[str, float], int]
"""What one unit takes, and the number of units."""
Places = tuple[tuple[int, int], ...]
"""(number of a machine, units on it)"""
EPSILON = 1e-9


def total(machines: Iterable[Machine]) -> dict[str, float]:
    """Resource → amount, summed over machines."""
    sums: Counter[str] = Counter()
    for machine in machines:
        sums.update(machine)
    return dict(sums)


def how_many(machines: Sequence[Machine], unit: Mapping[str, float], most: int, beside: Iterable[Units] = ()) -> int:
    """How many units fit, up to `most`, beside others, which are assumed to be on the first machines with room."""
    room = Room(machines)
    for other, count in beside:
        room.place(other, count)
    return num_placed(room.place(unit, most))


def num_placed(places: Places) -> int:
    return sum(count for _, count in places)


class Room:
    """What is free on machines, as units come and go: each stays on the machine where it was placed."""

    def __init__(self, machines: Sequence[Machine]) -> None:
        self.machines = machines
        self._free = [dict(machine) for machine in machines]
        self._free_in_all = total(machines)

    def place(self, unit: Mapping[str, float], most: int, least: int = 1) -> Places:
        """Place up to `most` units on the first machines with room; none if fewer than `least` fit."""
        if any(self._free_in_all.get(name, 0.0) + EPSILON < least * amount for name, amount in unit.items()):
            return ()  # as most often on a busy cluster, and without a look at each machine
        places: list[tuple[int, int]] = []
        left = most
        for number, machine in enumerate(self._free):
            if not left:
                break
            if fit := _num_fitting(machine, unit, left):
                places.append((number, fit))
                left -= fit
        if most - left < least:
            return ()
        self._add(unit, places, -1)
        return tuple(places)

    def release(self, unit: Mapping[str, float], places: Places) -> None:
        self._add(unit, places, 1)

    def _add(self, unit: Mapping[str, float], places: Iterable[tuple[int, int]], sign: int) -> None:
        for number, count in places:
            for name, amount in unit.items():
                for free in (self._free[number], self._free_in_all):
                    free[name] = free.get(name, 0.0) + sign * count * amount


def _num_fitting(machine: Machine, unit: Mapping[str, float], most: int) -> int:
    """How many units have room on one machine, up to `most`."""
    fit: float = most
    for name, amount in unit.items():
        fit = min(fit, _times(machine.get(name, 0.0), amount))
        if fit <= 0:
            return 0
    return int(fit)


def _times(free: float, amount: float) -> float:
    """How often `amount` fits into `free`. Ray takes a fraction from a single GPU, and so for every resource."""
    if free == float("inf"):
        return free
    if amount >= 1:
        return int((free + EPSILON) / amount)
    whole = int(free + EPSILON)
    return whole * int((1 + EPSILON) / amount) + int((free - whole + EPSILON) / amount)
