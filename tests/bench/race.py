"""How often races by intervals find the best arm, and what they draw, on simulated arms whose values are known.

    python tests/bench/race.py [RACES [ARMS]…]

27 arms like table 15's (with its eight FIDs), 27 of which one is better by 3%, and 27 equal ones, at several noises;
`simulated_races` has the model.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "fixtures"))
from assay.sweep.search.schedulers import Race
from simulated_races import Noise, like_table_15, race

RUNGS = (2_500, 5_000, 7_500, 10_000, 15_000, 20_000, 30_000, 40_000, 50_000)
ARMS: Mapping[str, Callable[[np.random.Generator], Sequence[float]]] = {
    "table 15": like_table_15,
    "one better by 3%": lambda random: [2.0, *[2.06] * 26],
    "equal": lambda random: [2.0] * 27,
}
HEAD = ("arms", "noise", "shared", "last rung", "found", "drawn", "won", "tied", "undecided")


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    print("| " + " | ".join(HEAD) + " |\n|" + "---|" * len(HEAD))
    for name in sys.argv[2:] or ARMS:
        for relative in (0.0025, 0.005, 0.01):
            for correlation in (0.5, 0.9):
                for rungs in (RUNGS, (*RUNGS, 75_000, 100_000, 150_000, 200_000)):
                    row(name, Noise(relative, correlation), rungs, count)


def row(name: str, noise: Noise, rungs: tuple[int, ...], count: int) -> None:
    scheduler = Race(name="race", budget="samples", rungs=rungs)
    random, ends, found, shares = np.random.default_rng(15), Counter[str](), 0, list[float]()
    for _ in range(count):
        values = ARMS[name](random)
        ended = race(values, scheduler, noise, random)
        ends[ended.how] += 1
        found += values[ended.winner] <= (1 + scheduler.indifference) * min(values)
        shares.append(ended.drawn / (len(values) * rungs[-1]))
    cells = [name, f"{noise.relative:.2%}", f"{noise.correlation:.0%}", f"{rungs[-1]:,}", f"{found / count:.1%}"]
    cells += [f"{np.mean(shares):.1%}", *(f"{ends[how] / count:.1%}" for how in ("won", "tied", "go on"))]
    print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
