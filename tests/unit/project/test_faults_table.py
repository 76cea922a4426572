"""The table of faults in tests/README.md names tests that are there."""

from __future__ import annotations

import re

from repository import TESTS


def test_every_test_that_the_table_names_is_there() -> None:
    named = re.findall(r"\| (\S+\.py)::(\w+) \|", (TESTS / "README.md").read_text(encoding="utf-8"))
    assert len(named) > 30
    missing = [
        f"{file}::{name}"
        for file, name in named
        if not re.search(rf"def {name}\(", (TESTS / file).read_text(encoding="utf-8"))
    ]
    assert missing == []
