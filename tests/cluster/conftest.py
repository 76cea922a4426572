"""A cluster of several machines, for the tests that lose some of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from machines import Machines, machines_apart
from repository import FIXTURES


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    """One for all tests of a module: its machines come and go, but to start Ray takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(FIXTURES))  # workers import the tests' workloads
        with machines_apart() as made:
            yield made
