"""One run holds a lease: until it gives it back, ends, or is dead to those that wait."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from assay.errors import StoreError
from assay.store import RunningRecord, Store
from assay.store.garbage import Reached, delete, find_garbage
from assay.store.inspection import Inspection
from assay.store.leases import Leases
from assay.store.running import has_ended, this_process

ADA, BEN, EVE = "a" * 32, "b" * 32, "e" * 32
NET, MORE = "1" * 32, "2" * 32
"""Lineages."""


@dataclass
class Clock:
    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["folder", "memory", pytest.param("s3", marks=pytest.mark.slow)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "s3":
        return Store(f"{request.getfixturevalue('bucket')}/{tmp_path.name}")
    return Store(str(tmp_path / "store") if request.param == "folder" else f"memory://{tmp_path}")


@pytest.fixture
def leases(store: Store, clock: Clock) -> Callable[[str], Leases]:
    """What a run takes that renewed its note just now."""

    def of(run: str) -> Leases:
        note(store, run)
        return Leases(store.files, run, clock=clock, expiry_s=50)

    return of


def note(store: Store, run: str, *, renewed_at_s: float = 0.0, process: str = "") -> None:
    when = (datetime.now(UTC) + timedelta(seconds=renewed_at_s)).isoformat()
    told = {"user": "ada", "host": "node-1", "pid": 7, "command": "assay run study", "process": process}
    store.runs.write(RunningRecord(id=run, sweep="study", started=when, renewed=when, **told))


def holder_of(refused: RunningRecord | None) -> str | None:
    return None if refused is None else refused.id


def test_who_comes_second_is_told_who_was_first_and_gets_what_was_given_back(leases: Callable[[str], Leases]) -> None:
    ada, ben = leases(ADA), leases(BEN)
    assert ada.take([NET]) is None
    assert holder_of(ben.take([NET])) == ADA
    assert ben.take([MORE]) is None, "another lineage is free"
    ada.give_back([NET])
    assert ben.take([NET]) is None
    assert holder_of(ada.take([NET])) == BEN


def test_of_many_that_try_at_once_one_gets_it(leases: Callable[[str], Leases]) -> None:
    runs = [leases(f"{number:032x}") for number in range(8)]
    with ThreadPoolExecutor(len(runs)) as pool:
        refused = [*pool.map(lambda each: each.take([NET]), runs)]
    assert refused.count(None) == 1


def test_leases_are_taken_together_or_not_at_all(leases: Callable[[str], Leases]) -> None:
    ada, ben, eve = leases(ADA), leases(BEN), leases(EVE)
    assert ada.take([MORE]) is None
    assert holder_of(ben.take([NET, MORE])) == ADA
    assert eve.take([NET]) is None, "who was refused holds nothing while it waits"


def test_a_process_that_starts_over_gets_what_its_run_holds(leases: Callable[[str], Leases]) -> None:
    assert leases(ADA).take([NET]) is None
    again = leases(ADA)
    assert again.take([NET]) is None
    again.give_back([NET])
    assert leases(BEN).take([NET]) is None


def test_a_run_without_a_note_holds_nothing(store: Store, leases: Callable[[str], Leases]) -> None:
    leases(ADA).take([NET, MORE])
    store.runs.remove(ADA)
    assert leases(BEN).take([NET, MORE]) is None, "it ended, and gave nothing back"


def test_a_run_is_dead_once_its_note_has_not_changed_for_long(
    store: Store, leases: Callable[[str], Leases], clock: Clock
) -> None:
    leases(ADA).take([NET])
    ben = leases(BEN)
    assert holder_of(ben.take([NET])) == ADA
    clock.now_s += 49
    assert holder_of(ben.take([NET])) == ADA
    clock.now_s += 1
    assert ben.take([NET]) is None


def test_a_run_that_renews_its_note_lives_whatever_its_clock_says(
    store: Store, leases: Callable[[str], Leases], clock: Clock
) -> None:
    leases(ADA).take([NET])
    ben = leases(BEN)
    for renewal in range(5):
        note(store, ADA, renewed_at_s=-7200 + renewal)
        assert holder_of(ben.take([NET])) == ADA
        clock.now_s += 49


def test_a_run_that_was_silent_for_more_than_a_day_is_not_waited_for(
    store: Store, leases: Callable[[str], Leases]
) -> None:
    leases(ADA).take([NET])
    note(store, ADA, renewed_at_s=-25 * 3600)
    assert leases(BEN).take([NET]) is None


def test_a_run_whose_process_is_gone_from_this_machine_is_not_waited_for(
    store: Store, leases: Callable[[str], Leases]
) -> None:
    leases(ADA).take([NET])
    code = "from assay.store.running import this_process; print(this_process())"
    gone = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    note(store, ADA, process=gone)
    assert leases(BEN).take([NET]) is None


def test_of_several_that_wait_for_a_dead_run_one_gets_its_lease(store: Store, leases: Callable[[str], Leases]) -> None:
    leases(ADA).take([NET])
    store.runs.remove(ADA)
    ben, eve = leases(BEN), leases(EVE)
    with ThreadPoolExecutor(2) as pool:
        refused = [holder_of(each) for each in pool.map(lambda each: each.take([NET]), [ben, eve])]
    assert None in refused
    assert {*refused} <= {None, BEN, EVE}
    assert len({*refused}) == 2
    (ben if refused[0] is None else eve).give_back([NET])
    assert store.files.names("leases") == [], "what the dead run left goes, too"


def test_who_was_taken_for_dead_gives_back_nothing_of_others(store: Store, leases: Callable[[str], Leases]) -> None:
    ada, ben = leases(ADA), leases(BEN)
    ada.take([NET])
    store.runs.remove(ADA)
    ben.take([NET])
    ben.give_back([NET])
    ben.take([NET])
    ada.give_back([NET])
    note(store, ADA)
    assert holder_of(leases(EVE).take([NET])) == BEN


def test_what_a_dead_process_of_a_run_took_its_run_gives_back(store: Store, leases: Callable[[str], Leases]) -> None:
    leases(ADA).take([NET])
    store.runs.remove(ADA)
    leases(BEN).take([NET])
    assert holder_of(leases(EVE).take([NET])) == BEN
    leases(BEN).give_back([NET])
    assert store.files.names("leases") == [], "though it came after a run that was killed"


def test_who_belongs_to_no_run_takes_nothing(store: Store) -> None:
    assert store.leases().take([NET]) is None
    assert store.files.names("leases") == []


def test_a_damaged_lease_is_passed_over_and_doctor_says_so(store: Store, leases: Callable[[str], Leases]) -> None:
    leases(ADA).take([NET])
    store.files.fs.pipe_file(store.files.at(f"leases/{NET}-0.json"), b"{")
    assert leases(BEN).take([NET]) is None
    (fault,) = Inspection(store).faults()
    assert fault.message.startswith(f"lease {NET}-0 is damaged")


def test_a_lease_that_cannot_be_given_back_ends_with_its_run(
    leases: Callable[[str], Leases], monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = leases(ADA)
    ada.take([NET])

    def unreachable(path: str) -> None:
        raise StoreError("cannot read the store")

    monkeypatch.setattr(ada._files, "read_record", unreachable)
    ada.give_back([NET])


def test_gc_deletes_what_killed_runs_left_and_nothing_that_is_held(
    store: Store, leases: Callable[[str], Leases]
) -> None:
    leases(ADA).take([NET])
    leases(BEN).take([MORE])
    store.runs.remove(ADA)
    assert [each.path for each in delete(store, find_garbage(store, Reached(), -1.0))] == []
    store.runs.remove(BEN)
    deleted = delete(store, find_garbage(store, Reached(), -1.0))
    assert [each.path for each in deleted] == [f"leases/{NET}-0.json", f"leases/{MORE}-0.json"]
    assert store.files.names("leases") == []


def test_a_process_is_known_by_more_than_its_number() -> None:
    here = this_process()
    assert not has_ended(here)
    assert has_ended(f"{here}0"), "another process had that number"
    assert not has_ended(here.replace(here.split("/")[0], "another-machine") + "0")
    assert not has_ended(""), "nobody knows"
    assert f"/{os.getpid()}/" in here
