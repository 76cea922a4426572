"""When a limit of V100-days pauses a run: by what is stored, and by what the stages that run took so far."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.costs.devices import DeviceDays
from assay.execution.events import Event
from assay.execution.limits import Limiter
from assay.execution.pause import Pause
from assay.store import Cost, Store, StoredResult
from assay.sweep import Limits
from assay.workload import Budget, Stage

V100, CPU = "Tesla V100-SXM2-16GB", "cpu (x86_64)"
DAY = 86_400.0


class Limited:
    """A limit of 6 V100-days, and whoever it asks to pause."""

    def __init__(self) -> None:
        self.pause = Pause()
        self.told: list[Event] = []
        self.limiter = Limiter(Limits(device_days=6), DeviceDays("V100"), self.pause, self.told.append)


@pytest.fixture
def six() -> Limited:
    return Limited()


@pytest.fixture
def committed(tmp_path: Path) -> StoredResult:
    """A training that took 4 V100-days."""
    stage = Stage("train", 1, "train", ("nowhere:body",), {}, budget=Budget("n", 10, "steps"))
    output = tmp_path / "output"
    output.mkdir()
    return Store(tmp_path / "store").commit(stage, output, {}, Cost(V100, 8, DAY / 2))


def test_a_training_that_runs_pauses_when_it_has_taken_what_is_left(six: Limited) -> None:
    six.limiter.running("train", Cost(V100, 8, 0.5 * DAY))
    six.limiter.running("train", Cost(V100, 8, 0.74 * DAY))
    assert six.pause.reason is None
    six.limiter.running("train", Cost(V100, 8, 0.75 * DAY))
    assert six.pause.reason == "limits.v100_days is reached: 6 of 6 spent; raise it to continue"


def test_what_is_stored_and_all_that_runs_count_together(six: Limited, committed: StoredResult) -> None:
    six.limiter.charge([committed])
    six.limiter.running("a", Cost(V100, 1, 1 * DAY))
    six.limiter.running("b", Cost("TPU v3", 1, 1.9 * DAY))
    assert six.pause.reason is None
    six.limiter.running("b", Cost("TPU v3", 1, 2 * DAY))
    assert six.pause.reason is not None


def test_what_ran_counts_once_when_it_is_committed(six: Limited, committed: StoredResult) -> None:
    six.limiter.running(committed.key, Cost(V100, 8, 0.5 * DAY))
    six.limiter.charge([committed])
    six.limiter.running(committed.key, Cost(V100, 8, 0.5 * DAY))
    six.limiter.charge([committed])
    assert six.pause.reason is None
    six.limiter.running("other", Cost(V100, 1, 2 * DAY))
    assert six.pause.reason is not None


def test_every_worker_of_a_fan_out_adds_its_own(six: Limited) -> None:
    for _ in range(5):
        six.limiter.running("sample", Cost(V100, 1, 1 * DAY), is_more=True)
    six.limiter.running("sample", Cost(CPU, 1, 9 * DAY), is_more=True)
    assert six.pause.reason is None
    six.limiter.running("sample", Cost(V100, 1, 1 * DAY), is_more=True)
    assert six.pause.reason is not None


@pytest.mark.parametrize("device", [CPU, f"NVIDIA A100-SXM4-40GB, {V100}", ""])
def test_a_device_of_unknown_worth_counts_nothing_until_the_stage_is_committed(six: Limited, device: str) -> None:
    six.limiter.running("train", Cost(device, 8, 100 * DAY))
    assert six.pause.reason is None


def test_a_stage_that_failed_runs_no_more(six: Limited) -> None:
    six.limiter.running("train", Cost(V100, 1, 5 * DAY))
    six.limiter.failed("train")
    six.limiter.running("other", Cost(V100, 1, 5 * DAY))
    assert six.pause.reason is None
