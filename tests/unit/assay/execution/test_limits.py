"""When a limit of V100-days pauses a run: by what is stored, and by what the stages that run took so far."""

from __future__ import annotations

from pathlib import Path

import pytest

import assay
import toy_workload
from assay.costs.devices import DeviceDays
from assay.costs.rates import Price, Rates
from assay.errors import UserError
from assay.events import Event
from assay.execution.limits import Limiter
from assay.execution.pause import Pause
from assay.home import Home
from assay.store import Cost, Store, StoredResult
from assay.sweep import Limits, Sweep, load_sweep
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


RATES = Rates([Price(device="V100", usd_per_hour=3.0, date="2026-11-30", source="a list")])


def test_dollars_count_like_device_days(committed: StoredResult) -> None:
    pause, told = Pause(), list[Event]()
    limiter = Limiter(Limits(usd=400), DeviceDays("V100"), pause, told.append, RATES)
    limiter.charge([committed])  # 4 days of 24 hours at $3
    limiter.running("train", Cost(CPU, 1, 9 * DAY))
    limiter.running("sample", Cost(V100, 1, 1.5 * DAY))
    assert (pause.reason, told) == (None, [])
    limiter.running("sample", Cost(V100, 1, 1.6 * DAY))
    assert pause.reason == "limits.usd is reached: $403 of $400 spent; raise it to continue"
    assert pause.is_limit


def test_a_result_of_unknown_price_is_told_and_does_not_count(committed: StoredResult) -> None:
    pause, told = Pause(), list[Event]()
    limiter = Limiter(Limits(usd=1), DeviceDays("V100"), pause, told.append)
    limiter.charge([committed, committed])
    assert pause.reason is None
    assert [event.message for event in told] == [f"limits.usd: the price of {V100} is unknown; its stages do not count"]


SWEEP = """\
version: 1
name: norms
workload: toy
base: tiny
limits: {usd: 0.5}
metric: distance
mode: min
"""
PRICES = "prices: [{device: cpu, usd_per_hour: 3600000, date: 2026-11-30, source: ours}]\n"


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    file = tmp_path / "norms.yaml"
    file.write_text(SWEEP)
    return load_sweep(file, find_workload=lambda name: toy_workload.workload)


def test_a_run_pauses_at_its_dollars_and_goes_on_when_they_are_raised(sweep: Sweep, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.root.mkdir()
    home.settings.write_text(PRICES)
    outcome = assay.run(sweep, home, executor="inline")
    assert outcome.is_limited
    assert (outcome.paused or "").startswith("limits.usd is reached: $")
    more = load_sweep(
        tmp_path / "norms.yaml", sets=["limits.usd=1000000"], find_workload=lambda _: toy_workload.workload
    )
    assert assay.run(more, home, executor="inline").paused is None


@pytest.mark.parametrize("prices", ["", PRICES + "market: spot\n"])
def test_a_limit_that_cannot_be_kept_is_refused_at_its_line_before_the_start(
    sweep: Sweep, tmp_path: Path, prices: str
) -> None:
    home = Home(tmp_path / "home")
    home.root.mkdir()
    home.settings.write_text(prices)
    with pytest.raises(UserError) as refused:
        assay.run(sweep, home, executor="inline")
    wanted = "spot_usd_per_hour" if prices else "usd_per_hour"
    assert str(refused.value).endswith(
        "norms.yaml:5: limits.usd: got 0.5, but the price of cpu is unknown; add it to `prices` in the home's "
        f"settings.yaml, with {wanted}; 0 if the price of the GPUs includes their machines' CPUs\nNothing was started."
    )
    assert not (home.root / "store").exists()
