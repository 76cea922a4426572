"""A disk that becomes full is told in the same words, whoever was writing, and costs nothing that was finished."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from assay.errors import StoreError
from assay.store import Store
from assay.workload import Budget, Checkpointing, Stage

FULL = r"^the store .* is full: .*\. Free some space, then run the same command again: finished work is kept$"
TRAIN = Stage("train", 1, "train", ("n:b",), {}, budget=Budget("n", 9, "steps"), checkpointing=Checkpointing(every=1))
SAMPLE = Stage("sample", 1, "map", ("n:B",), {}, budget=Budget("n", 9, "images"))
LARGE = 4 << 20


@contextmanager
def small_files() -> Iterator[None]:
    """None may grow over 1 MB, as under `ulimit -f`."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """1 MB in all."""
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"may not mount a disk here: {mounted.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.fixture(params=["files", "disk"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with small_files() if request.param == "files" else small_disk(tmp_path / "store"):
        yield Store(tmp_path / "store")


def by_torch(file: Path) -> None:
    """Which keeps to itself why it cannot write."""
    torch.save(torch.zeros(LARGE // 4), file)


def by_numpy(file: Path) -> None:
    np.save(file, np.zeros(LARGE // 8))


def by_hand(file: Path) -> None:
    file.write_bytes(b"0" * LARGE)


@pytest.mark.parametrize("write", [by_torch, by_numpy, by_hand])
def test_a_stage_that_writes(store: Store, write) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(StoreError, match=FULL), store.staging() as output:
        write(output / "large")
    assert store.files.names("staging") == []


def test_a_checkpoint(store: Store) -> None:
    checkpoints = store.checkpoints(TRAIN)
    with store.staging() as part:
        (part / "small").write_bytes(b"0")
        checkpoints.commit(1, [checkpoints.upload(part, checkpoints.new_place(1))])
    with pytest.raises(StoreError, match=FULL), store.staging() as part:
        by_torch(part / "large")
    found = store.checkpoints(TRAIN).latest(9)
    assert found is not None
    assert found.step == 1


def test_a_shard(store: Store) -> None:
    rng = np.random.default_rng(0)
    rows = pa.table({"id": np.arange(4), "noise": pa.array([rng.bytes(LARGE // 4) for _ in range(4)])})
    with pytest.raises(StoreError, match=FULL):
        store.shards(SAMPLE).write(rows)
    assert store.shards(SAMPLE).good() == []


def test_a_record_and_the_journal(store: Store) -> None:
    with pytest.raises(StoreError, match=FULL):
        store.suggestions("study").add({"x": "0" * LARGE})
    assert store.suggestions("study").all() == []
    assert list(Path(store.files.root).rglob(".*")) == [], "nothing half written is left"


def test_a_failure_that_has_nothing_to_do_with_room_stays_what_it_is(store: Store) -> None:
    with pytest.raises(RuntimeError, match="no such thing"), store.staging():
        raise RuntimeError("no such thing")


def test_the_folder_for_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store elsewhere is written to from there."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    store = Store(f"memory://{tmp_path}")
    full = rf"the folder for temporary files {tmp_path} is full: .*File too large.*finished work is kept"
    with small_files(), pytest.raises(StoreError, match=full), store.staging() as output:
        by_torch(output / "large")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "file" / "below"))
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(
            StoreError, match=r"cannot write to the folder for temporary files .*set TMPDIR to another folder"
        ),
        store.staging(),
    ):
        pass
