"""How all tests are run: what comes first, and how Ray starts its processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import hypothesis
import pytest

from repository import TESTS

os.environ |= {
    "RAY_worker_niceness": "0",  # at Ray's 15, its workers would hardly run beside another test
    "RAY_worker_maximum_startup_concurrency": "8",  # else a machine of one CPU starts them one after the other
}

hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")  # how long an example takes says nothing about the code

ORDER = ("studies", "cluster", "ui", "parity", "unit", "bench")
"""Folders: the files that take longest come first, so that the last ones to run end at about the same time."""
ORDER_UNTIL = ("unit", "parity", "ui", "studies", "cluster", "bench")
"""The order where time may run out: the quick ones first."""
UNTIL = os.environ.get("TESTS_UNTIL")
"""Seconds since the epoch after which no more tests start, as .ci/run sets it: a machine that is several times slower
than usual then still says what it found, and how many it left out, instead of being cut off."""
COMPILES = """
from adm.training.engines.deepspeed_engine import unavailable_reason
unavailable_reason("cpu")
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = ORDER if UNTIL is None else ORDER_UNTIL
    items.sort(key=lambda item: order.index(item.path.relative_to(TESTS).parts[0]))


@pytest.hookimpl(tryfirst=True)  # before its fixtures are made
def pytest_runtest_setup() -> None:
    if UNTIL is not None and time.time() > float(UNTIL):
        pytest.skip("needs more time than TESTS_UNTIL leaves; `make test` runs it")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Where several processes run all tests: compile DeepSpeed's operators beside them, before a test waits for it."""
    config = session.config
    is_all = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    if is_all and config.getoption("numprocesses", None) and not hasattr(config, "workerinput"):
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        compiling = subprocess.Popen([sys.executable, "-c", COMPILES], **quiet)
        config.add_cleanup(compiling.wait)
        config.add_cleanup(compiling.terminate)  # the last comes first
