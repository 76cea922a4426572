"""Random damage to a store in which a study has run: the next run ends with the undisturbed numbers, every time."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from store_damage import KINDS

pytestmark = pytest.mark.slow

ROUNDS = 500
COMMANDS = (("ls",), ("plan", "race.yaml"), ("compare", "race.yaml"), ("doctor",))


def targets(store: Path) -> list[Path]:
    """Every file, and every folder of one key, lineage or study and below: those above hold everybody's."""
    return sorted(path for path in store.glob("*/*/**/*") if "staging" not in path.parts) + sorted(store.glob("*/*"))


def damage(rng: random.Random, store: Path) -> list[str]:
    done = []
    for _ in range(rng.randrange(1, 5)):
        kind, path = rng.choice(sorted(KINDS)), rng.choice(targets(store))
        if path.is_symlink() or path.exists():
            KINDS[kind](rng, path)
            done.append(f"{path.relative_to(store)}: {kind}")
    return done


def test_a_store_that_was_damaged_anywhere_gives_the_undisturbed_numbers(
    study, command: Callable[..., tuple[int, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # type: ignore[no-untyped-def]
    for number in range(ROUNDS):
        rng, home = random.Random(number), tmp_path / str(number)
        done = damage(rng, study.copy(home))
        monkeypatch.setenv("ASSAY_HOME", str(home))
        asked = COMMANDS[number % len(COMMANDS)]
        code, told = command(*asked)
        assert code == 0 or asked == ("doctor",), (number, done, told)
        assert "Traceback" not in told, (number, done, told)
        assert study.run(home) == study.expected, (number, done)
        if number % 20 == 0:
            assert command("doctor", "--repair")[0] == 0, (number, done)
            assert command("doctor")[0] == 0, (number, done, command("doctor"))
            assert study.run(home) == study.expected, (number, done)
