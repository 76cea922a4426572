"""What a store says of a run while it is in progress."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

import assay
import toy_workload
from assay.execution import Event, Outcome
from assay.execution.heartbeat import Heartbeat
from assay.home import Home
from assay.planning import make_plan
from assay.store import RunningRecord, Store
from assay.sweep import Sweep, load_sweep
from patience import LONGEST_S

SWEEP = """\
version: 1
name: norms
workload: toy
base: tiny
arms: {adagn: {}, add: {model.norm: add}}
metric: distance
mode: min
"""


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    file = tmp_path / "norms.yaml"
    file.write_text(SWEEP)
    return load_sweep(file, find_workload=lambda name: toy_workload.workload)


class Onlooker:
    """Reads the store while a run computes, as another command would."""

    def __init__(self, home: Home) -> None:
        self._store = Store(home.store_url, heals=False)
        self.seen: list[list[RunningRecord]] = []

    def begin(self, *_: object) -> None:
        self.seen.append(self._store.running())

    def event(self, event: Event) -> None:
        if event.kind == "committed":
            self.seen.append(self._store.running())

    def end(self, outcome: Outcome) -> None: ...


def test_a_run_is_seen_from_its_beginning_to_its_end(
    sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSAY_JOB", "norms-0123456789-1")
    monkeypatch.setattr("sys.argv", ["assay", "run", "norms", "--set", "data.path=s3://ada:secret@bucket/x"])
    home = Home(tmp_path / "home")
    onlooker = Onlooker(home)
    outcome = assay.run(sweep, home, executor="inline", listeners=[onlooker])
    assert len(onlooker.seen) == 1 + len(outcome.computed)
    assert {run.id for runs in onlooker.seen for run in runs} == {onlooker.seen[0][0].id}
    for runs in onlooker.seen:
        (run,) = runs
        assert (run.sweep, run.profile, run.pid, run.job) == ("norms", None, os.getpid(), "norms-0123456789-1")
        assert set(run.keys) == outcome.plan.stages.keys()
        assert set(run.lineages) == {stage.lineage for stage in outcome.plan.stages.values()}
        assert "secret" not in run.command
        assert run.command.startswith("assay run norms")
    assert Store(home.store_url).running() == []


def test_a_run_that_is_interrupted_ends_its_note_too(sweep: Sweep, tmp_path: Path) -> None:
    class Interrupted(Onlooker):
        def event(self, event: Event) -> None:
            super().event(event)
            if event.kind == "committed":
                raise KeyboardInterrupt

    home = Home(tmp_path / "home")
    onlooker = Interrupted(home)
    with pytest.raises(KeyboardInterrupt):
        assay.run(sweep, home, executor="inline", listeners=[onlooker])
    assert all(onlooker.seen)
    assert Store(home.store_url).running() == []


def test_the_note_is_renewed_while_the_run_goes_on(sweep: Sweep, tmp_path: Path) -> None:
    renewals = threading.Semaphore(0)

    class Counting(Store):
        @property
        def runs(self):  # type: ignore[no-untyped-def]
            renewals.release()
            return super().runs

    store = Counting(tmp_path / "store")
    heartbeat = Heartbeat(sweep, store, Home(tmp_path), every_s=0.001)
    heartbeat.uses(make_plan(sweep))
    for _ in range(3):
        assert renewals.acquire(timeout=LONGEST_S)
    heartbeat.close()
    assert Store(store.url).running() == []


class Warned:
    def __init__(self) -> None:
        self.told: list[str] = []

    def begin(self, *_: object) -> None: ...

    def event(self, event: Event) -> None:
        if event.kind == "warning":
            self.told.append(event.message)

    def end(self, outcome: Outcome) -> None: ...


def test_a_note_that_cannot_be_written_costs_one_warning(sweep: Sweep, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    assay.run(sweep, home, executor="inline")
    running = Path(home.store_url) / "running"
    running.rmdir()
    running.write_text("a file where a folder belongs")
    warned = Warned()
    outcome = assay.run(sweep, home, executor="inline", listeners=[warned])
    assert not outcome.failed
    (told,) = warned.told
    assert told.startswith("other commands may not see that this run is in progress: cannot write to the store")


def test_a_board_that_cannot_be_shown_costs_a_warning_and_the_note_goes_on(sweep: Sweep, tmp_path: Path) -> None:
    warned: list[str] = []
    store = Store(tmp_path / "store", report=warned.append)
    heartbeat, plan = Heartbeat(sweep, store, Home(tmp_path)), make_plan(sweep)
    heartbeat.uses(plan)
    heartbeat.begin(plan, {}, {})
    train = next(stage for stage in plan.stages.values() if stage.kind == "train")
    heartbeat.event(Event("started", train.key))
    heartbeat.event(Event("progress", train.key, done=2.5))  # type: ignore[arg-type]
    heartbeat.uses(plan)
    (run,) = store.running()
    assert run.board is None
    assert len(warned) == 1
    heartbeat.close()
