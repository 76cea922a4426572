"""What is deleted of a store with two sweeps that share a training, and what never is."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

import assay
import toy_workload
from assay.errors import UserError
from assay.execution import Outcome
from assay.home import Home
from assay.planning import make_plan
from assay.planning.reached import plan_to_keep, reached_by, refuse_unknown_keys
from assay.store import RunningRecord, Store
from assay.store.checkpoints import Checkpoints
from assay.store.garbage import Garbage, Reached, delete, find_garbage
from assay.store.inspection import Inspection
from assay.store.trash import Trash
from assay.sweep import Sweep, load_sweep
from assay.workload import Checkpointing
from assay.workload.stage import topological

pytestmark = pytest.mark.slow  # each runs two sweeps

SWEEP = """\
version: 1
name: {name}
workload: toy
base: tiny
config: {{train.iterations: 10}}
parameters:
  sample.scale: {{values: {scales}}}
metric: distance
mode: min
"""
A_LONG_TIME_AGO = "2020-01-01T00:00:00+00:00"
SCALES = {"kept": "[0.0, 1.0]", "other": "[1.0, 2.0]"}


class Lab:
    """A store of its own, and the two sweeps."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder, Home(folder / "home")

    @property
    def store(self) -> Store:
        return Store(self.home.store_url)

    def sweep(self, name: str, *sets: str) -> Sweep:
        file = self.folder / f"{name}.yaml"
        file.write_text(SWEEP.format(name=name, scales=SCALES[name]))
        return load_sweep(file, sets=sets, find_workload=lambda _: toy_workload.workload)

    def run(self, name: str, *sets: str) -> Outcome:
        return assay.run(self.sweep(name, *sets), self.home, executor="inline")

    def keys(self, name: str) -> set[str]:
        return {*make_plan(self.sweep(name)).stages}

    def reached(self, *names: str) -> Reached:
        reached = Reached()
        for name in names:
            reached |= reached_by(plan_to_keep(self.sweep(name), self.store), self.store)
        return reached

    def garbage(self, *kept: str, older_than_s: float = 0.0) -> list[Garbage]:
        return find_garbage(self.store, self.reached(*kept), older_than_s)


@pytest.fixture(params=["folder", "memory"])
def lab(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    if request.param == "memory":
        monkeypatch.setenv("ASSAY_STORE", f"memory://{tmp_path}")
    lab = Lab(tmp_path)
    for name in SCALES:
        assert not lab.run(name).failed
    return lab


def faults(store: Store) -> list[str]:
    return [fault.message for fault in Inspection(store).faults()]


def results(garbage: Sequence[Garbage]) -> set[str]:
    return {each.path.removeprefix("results/") for each in garbage if each.what == "results"}


def note_a_run(store: Store, keys: Sequence[str] = (), lineages: Sequence[str] = ()) -> None:
    now = datetime.now(UTC).isoformat()
    who = {"sweep": "other", "user": "ada", "host": "node-1", "pid": 7, "command": "assay run other"}
    used = {"keys": [*keys], "lineages": [*lineages], "studies": []}
    store.runs.write(RunningRecord(id="0" * 32, started=now, renewed=now, **who, **used))


def test_only_what_the_other_sweep_has_for_itself_goes(lab: Lab) -> None:
    garbage = lab.garbage("kept")
    own = lab.keys("other") - lab.keys("kept")
    assert results(garbage) == own
    assert {each.author for each in garbage} == {("other", None)}
    assert {each.what for each in garbage} == {"results", "progress", "studies"}
    assert sum(each.bytes for each in garbage) > 0
    assert delete(lab.store, garbage) == garbage
    assert faults(lab.store) == []
    assert lab.garbage("kept") == []
    assert lab.run("kept").computed == frozenset()
    again = lab.run("other")
    assert again.computed == own
    assert not again.failed


def test_every_kept_sweep_stays_and_without_any_nothing_does(lab: Lab) -> None:
    assert lab.garbage("kept", "other") == []
    delete(lab.store, lab.garbage())
    assert (lab.store.known(), lab.store.files.names("progress"), lab.store.files.names("studies")) == ([], [], [])
    assert faults(lab.store) == []


def test_what_a_run_uses_stays_though_it_is_not_kept(lab: Lab) -> None:
    plan = make_plan(lab.sweep("other"))
    note_a_run(lab.store, [*plan.stages], [stage.lineage for stage in plan.stages.values()])
    assert {each.what for each in lab.garbage("kept")} == {"studies"}


def test_what_a_run_that_begins_meanwhile_uses_is_put_back(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = make_plan(lab.sweep("other"))
    garbage, empty = lab.garbage("kept"), Trash.take

    def take(trash: Trash, path: str, records: list[str]) -> None:
        note_a_run(lab.store, [*plan.stages], [stage.lineage for stage in plan.stages.values()])
        empty(trash, path, records)

    monkeypatch.setattr(Trash, "take", take)
    assert {each.what for each in delete(lab.store, garbage)} == {"studies"}
    lab.store.runs.remove("0" * 32)
    assert faults(lab.store) == []
    assert lab.run("other").computed == frozenset()


def test_a_checkpoint_that_somebody_reads_stays(lab: Lab) -> None:
    train = next(stage for stage in make_plan(lab.sweep("other")).stages.values() if stage.kind == "train")
    reader = Checkpoints(lab.store.files, train.lineage, train.amount, Checkpointing(every=5))
    assert reader.latest(train.amount) is not None
    assert f"progress/{train.lineage}" not in {each.path for each in lab.garbage()}


def test_what_is_young_stays(lab: Lab) -> None:
    assert lab.garbage(older_than_s=3600) == []


def test_what_is_old_stays_if_something_young_was_computed_from_it(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run("other")
    store, stages = lab.store, make_plan(lab.sweep("other")).stages
    *sources, last = stages.values()
    for folder in ("results", "progress", "studies"):
        for file in store.files.local_path(folder).rglob("*"):
            os.utime(file, (0, 0))
    for source in sources:
        result = store.get(source.key)
        assert result is not None
        store.files.write_record(f"results/{source.key}/result.json", {**result.record, "created": A_LONG_TIME_AGO})
        os.utime(store.files.local_path(f"results/{source.key}/result.json"), (0, 0))
    garbage = lab.garbage(older_than_s=3600)
    assert results(garbage) == {*stages} - {stage.key for stage in topological([last])}
    delete(store, garbage)
    assert faults(store) == []


@pytest.mark.parametrize("dies_at", [1, 2, 3])
def test_a_crash_in_the_middle_leaves_a_sound_store(lab: Lab, monkeypatch: pytest.MonkeyPatch, dies_at: int) -> None:
    """A killed process puts nothing back."""
    takes = 0
    take = Trash.take

    def dying(trash: Trash, path: str, records: list[str]) -> None:
        nonlocal takes
        takes += 1
        if takes == dies_at:
            trash._stack.pop_all()  # so that not even its folder is removed
            trash._taken.clear()
            raise KeyboardInterrupt
        take(trash, path, records)

    with monkeypatch.context() as patched:
        patched.setattr(Trash, "take", dying)
        with pytest.raises(KeyboardInterrupt):
            delete(lab.store, lab.garbage("kept"))
    assert faults(lab.store) == []
    assert lab.run("kept").computed == frozenset()
    delete(lab.store, lab.garbage("kept"))
    assert faults(lab.store) == []
    assert {*lab.store.known()} == lab.keys("kept")
    assert not lab.run("other").failed


def test_an_error_in_the_middle_puts_back_what_is_not_deleted(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(trash: Trash) -> None:
        raise KeyboardInterrupt

    garbage = lab.garbage("kept")
    with monkeypatch.context() as patched:
        patched.setattr(Trash, "empty", fail)
        with pytest.raises(KeyboardInterrupt):
            delete(lab.store, garbage)
    assert lab.run("other").computed == frozenset()
    assert faults(lab.store) == []


def test_results_of_earlier_settings_go_unless_nobody_can_tell(lab: Lab) -> None:
    lab.run("kept", "train.iterations=15")
    earlier = results(lab.garbage("kept", "other"))
    assert len(earlier) == 5
    refused = plan_to_keep(lab.sweep("kept", "train.refuse='no such data'"), lab.store)
    with pytest.raises(UserError, match=r"this machine cannot tell which results it reaches:\n.*no such data"):
        refuse_unknown_keys(refused, lab.store, lab.reached("kept").keys)
    refuse_unknown_keys(plan_to_keep(lab.sweep("kept"), lab.store), lab.store, lab.reached("kept").keys)


def test_trials_that_a_limit_leaves_waiting_are_kept(lab: Lab) -> None:
    sweep = lab.sweep("kept", "limits.trials=1")
    assert reached_by(plan_to_keep(sweep, lab.store), lab.store) == lab.reached("kept")


def origins(garbage: Sequence[Garbage]) -> set[str]:
    return {each.path.removeprefix("origins/") for each in garbage if each.what == "origins"}


@pytest.fixture
def unnamed(lab: Lab) -> str:
    """The record of an origin that nothing in the store names; all others are named by results."""
    (named,) = lab.store.origin_records.names()
    content = lab.store.files.read_record(f"origins/{named}")
    assert content is not None
    lab.store.begin({**content, "command": "assay run earlier"})
    (name,) = {*lab.store.origin_records.names()} - {named}
    return name


def test_origins_go_that_nothing_names_that_stays(lab: Lab, unnamed: str) -> None:
    assert origins(lab.garbage("kept", older_than_s=3600)) == set()
    garbage = lab.garbage("kept")
    assert origins(garbage) == {unnamed}
    assert {each.author for each in garbage if each.what == "origins"} == {None}
    assert delete(lab.store, garbage) == garbage
    (named,) = lab.store.origin_records.names()
    assert {f"{origin}.json" for result in lab.store.results() for origin in result.provenance.origins} == {named}
    assert faults(lab.store) == []
    assert origins(lab.garbage()) == {named}, "nothing is kept"
    delete(lab.store, lab.garbage())
    assert lab.store.origin_records.names() == []


@pytest.mark.parametrize("kind", ["train", "map"])
def test_what_a_checkpoint_or_a_shard_names_stays(lab: Lab, unnamed: str, kind: str) -> None:
    """Of a training or a fan-out that is half done."""
    at = {"train": "checkpoints", "map": "shards"}[kind]
    lineage = next(stage.lineage for stage in make_plan(lab.sweep("kept")).stages.values() if stage.kind == kind)
    name = next(name for name in lab.store.files.names(f"progress/{lineage}/{at}") if name.endswith(".json"))
    path, origin = f"progress/{lineage}/{at}/{name}", unnamed.removesuffix(".json")
    record = lab.store.files.read_record(path)
    assert record is not None
    lab.store.files.write_record(path, {**record, **({"origins": [origin]} if kind == "train" else {"origin": origin})})
    assert origins(lab.garbage("kept")) == set()
    assert unnamed in origins(lab.garbage())


def test_origins_stay_while_anything_runs(lab: Lab, unnamed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be its own: what it stores later will name it."""
    garbage, take = lab.garbage("kept"), Trash.take
    note_a_run(lab.store)
    assert origins(lab.garbage("kept")) == set()
    lab.store.runs.remove("0" * 32)

    def take_late(trash: Trash, path: str, records: list[str]) -> None:
        take(trash, path, records)
        if path.startswith("origins/"):
            note_a_run(lab.store)

    monkeypatch.setattr(Trash, "take", take_late)
    deleted = delete(lab.store, garbage)
    assert [each for each in garbage if each not in deleted] == [each for each in garbage if each.what == "origins"]
    assert unnamed in lab.store.origin_records.names()
    assert faults(lab.store) == []


def test_of_a_lineage_that_is_kept_what_only_larger_budgets_use_goes(lab: Lab) -> None:
    small = listing(lab)
    for larger in ("train.iterations=15", "evaluate.num_samples=300"):
        assert not lab.run("kept", larger).failed
    added = {path for path in listing(lab) - small if path.split("/")[1] in lab.reached("kept").lineages}
    assert lab.garbage("kept", "other", older_than_s=3600) == []

    garbage = lab.garbage("kept", "other")
    assert {path for each in garbage for path in each.parts} == added
    assert {each.path.split("/")[2] for each in garbage if each.parts} == {"checkpoints", "shards", "charged"}
    assert all(each.bytes > 0 for each in garbage if each.parts and "/charged/" not in each.path)
    assert delete(lab.store, garbage) == garbage
    assert {path for path in small - listing(lab) if "/checkpoints/" not in path} == set(), "longer ones removed some"
    assert listing(lab) <= small
    assert faults(lab.store) == []
    assert lab.garbage("kept", "other") == []

    assert lab.run("kept").computed == frozenset() == lab.run("other").computed
    again = lab.run("kept", "evaluate.num_samples=300")
    assert again.computed
    assert not again.failed
    assert faults(lab.store) == []


def listing(lab: Lab) -> set[str]:
    """The paths of all checkpoints, shards and charges, and of their records."""
    folders = [f"progress/{lineage}/{each}" for lineage in lab.store.files.names("progress") for each in KINDS]
    return {f"{folder}/{name}" for folder in folders for name in lab.store.files.names(folder)}


KINDS = ("checkpoints", "shards", "charged")
