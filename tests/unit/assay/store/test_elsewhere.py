"""Stores that are not on this machine's disk: an S3 server, a shared folder; and those that are gone or full."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import assay
import toy_workload
from assay.errors import StoreError
from assay.execution import Event, Outcome
from assay.home import Home
from assay.planning import make_plan
from assay.planning.reached import reached_by
from assay.store import FileRecord, Files, Store, local_copy
from assay.store.checkpoints import Checkpoints
from assay.store.garbage import Reached, delete, find_garbage
from assay.sweep import Sweep, load_sweep
from assay.workload import Budget, Stage

pytestmark = pytest.mark.slow

SWEEP = """\
version: 1
name: norms
workload: toy
base: tiny
arms: {AdaGN: {model.norm: adagn}, addition: {model.norm: add}}
metric: distance
mode: min
"""


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    file = tmp_path / "norms.yaml"
    file.write_text(SWEEP)
    return load_sweep(file, find_workload=lambda name: toy_workload.workload)


def run(sweep: Sweep, home: Path) -> Outcome:
    return assay.run(sweep, Home(home), executor="inline")


def found(outcome: Outcome) -> list[dict[str, object]]:
    """Everything that may not depend on where it is kept."""
    results = [result for trial in outcome.trials for result in trial.results.values()]
    return [
        {
            "key": result.key,
            "metrics": result.metrics,
            "history": result.history,
            "files": {name: file.sha256 for name, file in result.files.items()},
            "shards": [(shard.start, shard.stop) for shard in result.shards],
        }
        for result in results
    ]


def test_on_s3_a_sweep_is_cut_off_resumed_and_equal_to_one_on_a_disk(
    sweep: Sweep, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = run(sweep, tmp_path / "here")

    class CutOff:
        def begin(self, *_: object) -> None: ...

        def end(self, outcome: Outcome) -> None: ...

        def event(self, event: Event) -> None:
            if event.kind == "committed":
                assert [run.sweep for run in Store(bucket).running()] == ["norms"]
                raise KeyboardInterrupt

    monkeypatch.setenv("ASSAY_STORE", bucket)
    with pytest.raises(KeyboardInterrupt):
        assay.run(sweep, Home(tmp_path / "there"), executor="inline", listeners=[CutOff()])
    assert Store(bucket).running() == []
    resumed = run(sweep, tmp_path / "there")
    assert len(resumed.computed) == len(resumed.plan.stages) - 1
    assert found(resumed) == found(here)
    again = run(sweep, tmp_path / "somewhere-else")
    assert again.computed == frozenset()
    assert found(again) == found(here)


def test_on_s3_what_is_not_kept_is_deleted_and_what_is_young_is_not(
    sweep: Sweep, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSAY_STORE", f"{bucket}-garbage")
    run(sweep, tmp_path)
    store = Store(f"{bucket}-garbage")
    assert find_garbage(store, Reached(), older_than_s=3600) == []
    kept = reached_by(make_plan(sweep, store), store)
    assert find_garbage(store, kept, older_than_s=-5) == []
    delete(store, find_garbage(store, Reached(), older_than_s=-5))  # the server's clock counts whole seconds
    assert (store.known(), store.files.names("progress"), store.files.names("studies")) == ([], [], [])
    assert not run(sweep, tmp_path).failed


def test_a_damaged_object_is_set_aside_and_computed_again(
    sweep: Sweep, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import s3fs

    monkeypatch.setenv("ASSAY_STORE", f"{bucket}-damaged")
    first = run(sweep, tmp_path)
    result = first.trials[0].results[first.trials[0].planned.stages[0].key]
    s3fs.S3FileSystem().pipe_file(f"assay/study-damaged/{result.files['model.json'].path}", b"9.0")
    again = run(sweep, tmp_path)
    assert again.computed == {result.key}
    assert found(again) == found(first)


def test_a_shared_folder_serves_two_homes(sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_STORE", str(tmp_path / "shared"))
    first = run(sweep, tmp_path / "one")
    second = run(sweep, tmp_path / "two")
    assert len(first.computed) == len(first.plan.stages)
    assert second.computed == frozenset()


def test_what_ray_writes_goes_where_all_workers_reach_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ASSAY_STORE", raising=False)
    assert Home(tmp_path).scratch_url == str(tmp_path / "ray")
    monkeypatch.setenv("ASSAY_STORE", "s3://bucket/x")
    assert Home(tmp_path).scratch_url == "s3://bucket/x/ray"


# Gone, or full


def test_no_such_bucket_and_no_server(
    sweep: Sweep, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import s3fs

    monkeypatch.setenv("ASSAY_STORE", "s3://nobodys/study")
    with pytest.raises(StoreError, match=r"cannot write to the store s3://nobodys/study: .*bucket does not exist"):
        run(sweep, tmp_path)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")  # else it is tried for seconds
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(StoreError, match="cannot read the store s3://nobodys/study: Could not connect"):
        run(sweep, tmp_path)
    assert not (tmp_path / "store").exists()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where downloads are kept."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path / f"assay-cache-{os.getuid()}"


@pytest.fixture
def kept(bucket: str, tmp_path: Path) -> tuple[Files, FileRecord]:
    """A file of a store on S3."""
    files = Files(f"{bucket}-kept")
    (tmp_path / "model.bin").write_bytes(b"weights")
    return files, files.upload(tmp_path / "model.bin", "model.bin")


def test_a_download_is_kept_for_its_owner_alone_and_looked_at_before_it_is_used_again(
    kept: tuple[Files, FileRecord], cache: Path
) -> None:
    copy = local_copy(*kept)
    assert copy.read_bytes() == b"weights"
    before = copy.stat().st_ino
    assert local_copy(*kept).stat().st_ino == before, "downloaded once"
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    copy.write_bytes(b"weighty")
    assert local_copy(*kept).read_bytes() == b"weights"
    assert [path.name for path in cache.iterdir()] == [kept[1].sha256], "nothing half done is left"


def test_a_checkpoint_that_one_run_forgets_and_drops_is_still_read_by_another_of_the_machine(
    bucket: str, cache: Path, tmp_path: Path
) -> None:
    stage = Stage("train", 1, "train", ("nowhere:body",), {}, budget=Budget("n", 900, "iterations"))
    one, other = (Store(f"{bucket}-two-runs").checkpoints(stage) for _ in range(2))

    def save(checkpoints: Checkpoints, step: int) -> None:
        part = tmp_path / "part"
        part.mkdir(exist_ok=True)
        (part / "model.bin").write_text(f"weights {step}")
        checkpoints.commit(step, [checkpoints.upload(part, checkpoints.new_place(step))])

    save(one, 100)
    found = other.latest(900)
    assert found is not None
    folder = other.fetch(found)
    one.forget(one.fetch(found))
    assert list(cache.iterdir()) == []
    assert (folder / "model.bin").read_text() == "weights 100"
    for step in (200, 300, 400):
        save(one, step)
    late = other.fetch(found)
    assert (late / "model.bin").read_text() == "weights 100", "another rank may be slower than the other run's saves"
    for each in (folder, late):
        other.forget(each)
    save(other, 200)
    assert sorted(path.name for path in tmp_path.iterdir()) == [cache.name, "part"], "nothing that was fetched is left"


def test_a_folder_of_downloads_that_others_could_write_to_is_refused(
    kept: tuple[Files, FileRecord], cache: Path, tmp_path: Path
) -> None:
    refused = "files of the store are cached in .*allowed: a folder of user .* with mode drwx------"
    cache.mkdir()
    cache.chmod(0o770)
    with pytest.raises(StoreError, match=refused):
        local_copy(*kept)
    cache.rmdir()
    (tmp_path / "theirs").mkdir(mode=0o700)
    cache.symlink_to(tmp_path / "theirs")
    with pytest.raises(StoreError, match=refused):
        local_copy(*kept)
    cache.unlink()
    if os.getuid() == 0:  # only root may give a folder away
        cache.mkdir(mode=0o700)
        os.chown(cache, 12345, 12345)
        with pytest.raises(StoreError, match="belongs to user 12345"):
            local_copy(*kept)


def test_a_store_that_is_lost_in_the_middle_is_told_as_that(
    kept: tuple[Files, FileRecord], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import s3fs

    files, file = kept
    s3fs.S3FileSystem().pipe_file(files.at("model.bin"), b"another")
    with pytest.raises(StoreError, match=r"cannot read the store s3://.*: model\.bin does not match its checksum"):
        local_copy(files, file)
    files.remove("model.bin")
    with pytest.raises(StoreError, match=r"cannot read the store s3://.*: model\.bin is missing"):
        local_copy(files, file)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")  # else it is tried for seconds
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(StoreError, match=r"cannot read the store s3://.*: Could not connect"):
        local_copy(Files(files.url), file)
    assert list(cache.iterdir()) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"may not mount a disk here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_disk_without_room_is_told_before_anything_starts(
    sweep: Sweep, small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSAY_STORE", str(small_disk / "store"))
    with pytest.raises(StoreError, match=r"has 1\.0 MB free, allowed: 100 MB or more"):
        run(sweep, tmp_path)


def test_a_disk_that_becomes_full_is_told_as_that_and_the_same_command_goes_on(
    sweep: Sweep, small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assay.store.records.LEAST_FREE_BYTES", 0)
    monkeypatch.setenv("ASSAY_STORE", str(small_disk / "store"))
    filler = small_disk / "filler"

    class Fill:
        """Takes all that is left when the first stage is done."""

        def begin(self, *_: object) -> None: ...

        def end(self, outcome: Outcome) -> None: ...

        def event(self, event: Event) -> None:
            if event.kind == "committed" and not filler.exists():
                with suppress(OSError), filler.open("wb", buffering=0) as file:
                    while file.write(b"0" * 512):
                        pass

    home = Home(tmp_path / "home")
    cut_off = assay.run(sweep, home, executor="inline", listeners=[Fill()])
    assert len(cut_off.computed) == 1
    for trial in cut_off.failed:
        assert trial.error is not None
        assert "is full: " in trial.error.cause
        assert "Free some space, then run the same command again: finished work is kept" in trial.error.cause
    assert cut_off.failed
    filler.unlink()
    resumed = run(sweep, tmp_path / "home")
    assert not resumed.failed
    assert len(resumed.computed) == len(resumed.plan.stages) - 1
