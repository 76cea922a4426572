"""The notes of runs in progress, as other commands read them from the store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from assay.store import RunningRecord, Store
from assay.store.inspection import Inspection

RUN = "0123456789abcdef" * 2


def note(store: Store, *, renewed_ago_s: float, run: str = RUN) -> None:
    """Whoever renewed it so many seconds ago."""
    when = (datetime.now(UTC) - timedelta(seconds=renewed_ago_s)).isoformat()
    told = {"user": "ada", "host": "node-1", "pid": 7, "command": "assay run study"}
    store.runs.write(RunningRecord(id=run, sweep="study", started=when, renewed=when, **told))


def test_a_run_in_progress_is_listed_until_it_is_removed(store: Store) -> None:
    note(store, renewed_ago_s=5)
    (run,) = store.running()
    assert (run.sweep, run.user, run.host, run.pid, run.job) == ("study", "ada", "node-1", 7, None)
    store.runs.remove(RUN)
    assert store.running() == []


def test_a_run_that_no_longer_renews_its_note_is_not_in_progress(store: Store) -> None:
    note(store, renewed_ago_s=61)
    assert store.running() == []
    assert [run.id for run in store.running(within_s=3600)] == [RUN]


def test_a_clock_that_is_ahead_by_seconds_changes_nothing(store: Store) -> None:
    note(store, renewed_ago_s=-20)
    assert [run.id for run in store.running()] == [RUN]


def test_the_notes_of_killed_runs_go_after_a_day(store: Store) -> None:
    note(store, renewed_ago_s=25 * 3600)
    note(store, renewed_ago_s=3600, run="f" * 32)
    store.runs.remove_expired()
    assert [run.id for run in store.running(within_s=1e6)] == ["f" * 32]


def test_a_damaged_note_is_no_run_and_doctor_says_so(store: Store) -> None:
    note(store, renewed_ago_s=5)
    store.files.fs.pipe_file(store.files.at(f"running/{RUN}.json"), b"{")
    looked_at = Store(store.url, heals=False)
    assert looked_at.running() == []
    (fault,) = Inspection(store).faults()
    assert fault.message.startswith(f"note of a run {RUN} is damaged")
