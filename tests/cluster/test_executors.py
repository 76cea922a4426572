"""The executor on Ray keeps the contract of executors: one session for all of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from executor_contract import ExecutorContract
from repository import FIXTURES

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="class", autouse=True)
def toy_is_found() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(FIXTURES))  # workers import the toy
        yield


class TestRay(ExecutorContract):
    name = "ray"
