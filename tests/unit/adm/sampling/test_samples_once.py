"""Every sample is there once, and drawn once: in rungs, after a cut, and where what was drawn is damaged."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from assay.events import Event
from assay.execution import inline
from assay.store import Store
from assay.workload import Stage
from quick_samples import compute, graph, result, tensors

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a trained model, and nothing drawn."""
    folder = tmp_path_factory.mktemp("trained")
    compute(graph(), Store(folder), until="train")
    return folder


@pytest.fixture
def store(trained: Path, tmp_path: Path) -> Store:
    return Store(shutil.copytree(trained, tmp_path / "store"))


def samples(num_samples: int) -> dict[str, Stage]:
    # Batches of 5, shards of 20: the rungs below end within both.
    return graph(evaluate__num_samples=num_samples, sample__batch_size=5)


def drawn(told: Mapping[str, list[Event]]) -> int:
    return sum(event.done for event in told.get("features", []) if event.kind == "progress")


def assert_the_same(store: Store, other: Store, num_samples: int) -> None:
    ours, theirs = (result(samples(num_samples), which, "features") for which in (store, other))
    assert ours.read(["id"]).column("id").to_pylist() == list(range(num_samples))
    assert ours.read(["label"]).equals(theirs.read(["label"]))
    # Features are pixels here, in [-1, 1]; another batch shape rounds a grey level of 255 otherwise, and seldom.
    difference = np.abs(tensors(ours, "features") - tensors(theirs, "features")) * 127.5
    assert difference.max() < 1.01
    assert (difference > 0.01).mean() < 0.03


def test_rungs_draw_only_what_is_new_and_end_in_the_same_samples(store: Store, trained: Path, tmp_path: Path) -> None:
    assert [drawn(compute(samples(n), store, until="features")) for n in (12, 30, 50)] == [12, 18, 20]
    at_once = Store(shutil.copytree(trained, tmp_path / "at-once"))
    assert drawn(compute(samples(50), at_once, until="features")) == 50
    assert_the_same(store, at_once, 50)
    rungs = [tensors(result(samples(n), store, "features"), "features") for n in (12, 30, 50)]
    assert np.array_equal(rungs[0], rungs[2][:12])
    assert np.array_equal(rungs[1], rungs[2][:30])


def test_a_smaller_rung_after_a_larger_one_draws_nothing(store: Store) -> None:
    compute(samples(50), store, until="features")
    assert drawn(compute(samples(12), store, until="features")) == 0
    assert len(result(samples(12), store, "features").read(["id"])) == 12


def test_a_damaged_shard_is_drawn_again_and_no_other(store: Store, trained: Path, tmp_path: Path) -> None:
    compute(samples(50), store, until="features")
    undisturbed = Store(shutil.copytree(store.url, tmp_path / "undisturbed"))
    shard = result(samples(50), store, "features").shards[1]
    path = store.files.local_path(shard.file.path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    said: list[str] = []
    again = Store(store.url, report=said.append)
    assert drawn(compute(samples(50), again, until="features")) == shard.stop - shard.start
    assert any("damaged" in line for line in said)
    assert_the_same(again, undisturbed, 50)


def test_a_fan_out_that_was_cut_off_goes_on_with_what_is_missing(store: Store, trained: Path, tmp_path: Path) -> None:
    class CutOff(Exception):
        """Stands for a power cut."""

    def cut_off(event: Event) -> None:
        seen.append(event.done)
        if sum(seen) >= 35:
            raise CutOff

    seen: list[int] = []
    with pytest.raises(CutOff):
        inline.execute(samples(50)["features"], store, 1, cut_off)
    assert store.get(samples(50)["features"].key) is None
    assert drawn(compute(samples(50), store, until="features")) == 30, "a shard of 20 was done, the second was not"
    at_once = Store(shutil.copytree(trained, tmp_path / "at-once"))
    compute(samples(50), at_once, until="features")
    assert_the_same(store, at_once, 50)


def test_a_batch_size_found_by_trial_draws_the_same_samples(store: Store, trained: Path, tmp_path: Path) -> None:
    auto = graph(evaluate__num_samples=300, sample__batch_size="auto")
    fixed = graph(evaluate__num_samples=300, sample__batch_size=5)
    assert auto["features"].key == fixed["features"].key
    told = compute(auto, store, until="features")
    assert drawn(told) == 300
    other = Store(shutil.copytree(trained, tmp_path / "other"))
    compute(fixed, other, until="features")
    assert_the_same(store, other, 300)
