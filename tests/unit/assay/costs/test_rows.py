"""What `plan` says about rows that stages read: whether they are stored or computed again; and who is charged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import assay
import streamed_workload
from assay.cli.commands.estimates import summary
from assay.costs.availability import StageStatus, survey
from assay.costs.devices import DeviceDays
from assay.home import Home
from assay.planning import make_plan
from assay.store import Store
from assay.sweep import Sweep

HEAD = {"version": 1, "name": "rows", "workload": "streamed", "base": "one", "metric": "distance", "mode": "min"}


def sweep(*readers: str, **config: Any) -> Sweep:
    made = Sweep.model_validate({**HEAD, "config": {"readers": list(readers), **config}})
    made._workload = streamed_workload.workload
    return made


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def run(home: Home, sweep: Sweep) -> None:
    assert assay.run(sweep, home, executor="inline").trials[0].metrics


def planned(home: Home, sweep: Sweep) -> tuple[dict[str, StageStatus], list[str]]:
    """The readers by name, and what is said of the plan."""
    store = Store(home.store_url)
    plan = make_plan(sweep, store)
    statuses = survey(plan, store)
    readers = {s.stage.config["by"]: s for s in statuses.values() if s.stage.name == "read"}
    return readers, summary(plan, statuses)


def test_rows_are_paid_for_once_by_the_first_that_reads_them(home: Home) -> None:
    readers, lines = planned(home, sweep("double", "square"))
    assert {name: status.rows for name, status in readers.items()} == {"double": "computed", "square": "computed"}
    assert readers["double"].left.device_days == pytest.approx(DeviceDays("V100").of_flops(1e16))
    assert readers["square"].left.device_days is None
    assert len(lines) == 1, "nothing to say about rows that are computed for the first time"


def test_one_more_reader_runs_them_again_and_says_so(home: Home) -> None:
    run(home, sweep("double"))
    readers, lines = planned(home, sweep("double", "square"))
    assert (readers["double"].state, readers["square"].rows) == ("stored", "computed again")
    assert readers["square"].left.seconds is not None, "as the first one took, with its rows"
    assert lines[0] == "draw runs again: its 10 numbers were not stored, and read needs them."


def test_one_more_reader_of_kept_rows_reads_them_and_says_so(home: Home) -> None:
    run(home, sweep("double", kept=True))
    readers, lines = planned(home, sweep("double", "square", kept=True))
    assert readers["square"].rows == "stored"
    assert lines[0] == "read reads the 10 numbers that draw stored."
    readers, lines = planned(home, sweep("square"))
    assert readers["square"].rows == "stored", "also where this sweep would not have kept them"
