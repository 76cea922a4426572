"""Damage to a store in which a study has run: the next run ends with the undisturbed numbers, every time.

Every kind of damage befalls every kind of file and folder once, one to four of them at a time, in an order by chance.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path

import pytest

from store_damage import KINDS

pytestmark = pytest.mark.slow

COMMANDS = (("ls",), ("plan", "race.yaml"), ("compare", "race.yaml"), ("doctor",))
REPAIRED_EVERY = 7
KEY = re.compile(r"[0-9a-f-]+")


def targets(store: Path) -> Mapping[str, Sequence[Path]]:
    """Every file and folder by what it is, as "results/*/result.json": those of one key, lineage or study and below.
    The folders above hold everybody's."""
    found = defaultdict[str, list[Path]](list)
    inner = (path for path in store.glob("*/*/**/*") if "staging" not in path.parts)
    for path in sorted([*inner, *store.glob("*/*")]):
        names = (part.partition(".") for part in path.relative_to(store).parts)
        found["/".join(("*" if KEY.fullmatch(name) else name) + dot + suffix for name, dot, suffix in names)].append(
            path
        )
    return found


def damage(rng: random.Random, store: Path, kind: str, what: str) -> str | None:
    """What was done, unless what is to be damaged is gone."""
    if not (paths := targets(store).get(what)):
        return None
    path = rng.choice(paths)
    KINDS[kind](rng, path)
    return f"{path.relative_to(store)}: {kind}"


def test_a_store_that_was_damaged_anywhere_gives_the_undisturbed_numbers(
    study, command: Callable[..., tuple[int, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # type: ignore[no-untyped-def]
    pairs = list(product(sorted(KINDS), sorted(targets(study.whole))))
    random.Random(0).shuffle(pairs)
    left, number = deque(pairs), -1
    while left:
        number += 1
        rng, home = random.Random(number), tmp_path / str(number)
        store, done = study.copy(home), []
        for kind, what in [left.popleft() for _ in range(min(rng.randrange(1, 5), len(left)))]:
            if (told := damage(rng, store, kind, what)) is None:
                left.append((kind, what))  # an earlier damage took it away: in another round
            else:
                done.append(told)
        monkeypatch.setenv("ASSAY_HOME", str(home))
        asked = COMMANDS[number % len(COMMANDS)]
        code, said = command(*asked)
        assert code == 0 or asked == ("doctor",), (number, done, said)
        assert "Traceback" not in said, (number, done, said)
        assert study.run(home) == study.expected, (number, done)
        if number % REPAIRED_EVERY == 0:
            assert command("doctor", "--repair")[0] == 0, (number, done)
            assert command("doctor")[0] == 0, (number, done, command("doctor"))
            assert study.run(home) == study.expected, (number, done)
