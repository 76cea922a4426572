"""Data that change while a process lives: the next plan sees it, and what is stored is of the data in its key."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import pytest
from PIL import Image

import assay
from adm.workload import workload
from assay.errors import UserError
from assay.events import Event
from assay.home import Home
from assay.store import Store
from assay.sweep import Sweep
from assay.text import one_line
from assay.workload import topological
from imaging.config import DataConfig
from imaging.data import check as check_data
from imaging.data import num_images, open_planned, open_source, planned_data

SIZE = 8


def grey(path: Path, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (SIZE, SIZE), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(20):
        grey(folder / f"{index % 10}_{index:02}.bmp", index)
    return folder


def stages(**overrides: Any) -> dict[str, Any]:
    config = workload.resolve("tiny_digits", {path.replace("__", "."): v for path, v in overrides.items()})
    return {stage.name: stage for stage in topological(workload.stages(config))}


def values(data: DataConfig) -> dict[str, Any]:
    return data.model_dump(mode="json") | planned_data(data)


class TestBetweenPlans:
    def test_images_that_were_added_are_counted(self, images: Path) -> None:
        overrides = {"data__source": "folder", "data__path": str(images), "evaluate__num_reference": None}
        before = stages(**overrides)
        assert before["reference"].amount == num_images(DataConfig(source="folder", path=str(images))) == 20
        grey(images / "3_99.bmp", 99)
        after = stages(**overrides)
        assert after["reference"].amount == 21
        assert all(before[name].key != after[name].key for name in before)

    def test_a_database_that_was_written_to_is_read_again(self, tmp_path: Path) -> None:
        def put(key: bytes) -> None:
            with lmdb.open(str(tmp_path), map_size=1 << 20) as environment, environment.begin(write=True) as writing:
                writing.put(key, b"an image")

        put(b"1")
        data = DataConfig(source="lmdb", path=str(tmp_path))
        assert (num_images(data), num_images(data)) == (1, 1)
        before = planned_data(data)["contents"]
        put(b"2")
        assert num_images(data) == 2
        assert planned_data(data)["contents"] != before


class TestWhileItIsRead:
    """A source that was opened as planned."""

    @pytest.fixture
    def data(self, images: Path) -> DataConfig:
        return DataConfig(source="folder", path=str(images))

    def test_other_data_is_not_opened_and_its_check_says_so(self, images: Path, data: DataConfig) -> None:
        planned = values(data)
        open_planned(planned, SIZE, 1)
        grey(images / "3_03.bmp", 99)
        model = {"kind": "unet", "image_size": SIZE, "in_channels": 1, "out_channels": 2, "num_classes": None}
        for look in (lambda: open_planned(planned, SIZE, 1), lambda: check_data({"data": planned, "model": model})):
            with pytest.raises(UserError, match="changed since this was planned: run the same command again"):
                look()
        open_planned(values(data), SIZE, 1)

    def test_an_image_that_changes_ends_it(self, images: Path, data: DataConfig) -> None:
        source = open_planned(values(data), SIZE, 1, threads=2)
        source.read(np.arange(20))
        changed = images / "3_03.bmp"
        before = changed.stat()
        grey(changed, 99)
        os.utime(changed, ns=(before.st_atime_ns, before.st_mtime_ns))
        with pytest.raises(UserError, match=r"3_03\.bmp changed while it was read.*is not stored.*run the same"):
            source.read(np.arange(20))

    def test_one_that_is_not_read_any_more_does_not(self, images: Path, data: DataConfig) -> None:
        source = open_planned(values(data), SIZE, 1)
        grey(images / "3_99.bmp", 99)
        assert len(source.read(np.arange(20)).images) == 20

    @pytest.mark.parametrize(
        "touch",
        [os.utime, lambda path: path.chmod(0o640), lambda path: path.write_bytes(path.read_bytes())],
        ids=["time", "mode", "written again"],
    )
    def test_one_that_is_touched_and_holds_the_same_does_not(
        self, images: Path, data: DataConfig, touch: Callable[[Path], object]
    ) -> None:
        source = open_planned(values(data), SIZE, 1)
        expected = source.read(np.arange(20)).images
        touch(images / "3_03.bmp")
        np.testing.assert_array_equal(source.read(np.arange(20)).images, expected)

    def test_a_file_of_many_images_is_watched_too(self, tmp_path: Path) -> None:
        pixels = np.random.default_rng(0).integers(0, 256, (20, SIZE, SIZE, 1), dtype=np.uint8)
        np.savez(tmp_path / "images.npz", pixels)
        data = DataConfig(source="npz", path=str(tmp_path / "images.npz"))
        source = open_planned(values(data), SIZE, 1)
        source.read(np.arange(20))
        with (tmp_path / "images.npz").open("r+b") as file:
            file.truncate(500)  # reading the mapped rest would end the process
        with pytest.raises(UserError, match=r"images\.npz changed while it was read"):
            source.read(np.arange(20))

    def test_a_source_without_a_plan_is_not_watched(self, images: Path, data: DataConfig) -> None:
        source = open_source(data, SIZE, 1)
        grey(images / "3_03.bmp", 99)
        assert len(source.read(np.arange(20)).images) == 20


class _Changes:
    """A listener that changes an image once a training is under way."""

    def __init__(self, image: Path) -> None:
        self._image, self._is_changed = image, False

    def begin(self, *_: object) -> None: ...

    def event(self, event: Event) -> None:
        if event.kind == "progress" and not self._is_changed:
            self._is_changed = True
            grey(self._image, 99)

    def end(self, *_: object) -> None: ...


@pytest.mark.slow
def test_a_run_whose_data_change_stores_nothing_of_it_and_goes_on_with_the_new_data(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    small = {"model.channels": 32, "model.channel_mult": [1], "model.num_res_blocks": 1, "model.head_channels": 32}
    training = {"train.iterations": 30, "train.batch_size": 8, "train.engine": "torch"}
    content = {"version": 1, "name": "changing", "workload": "adm", "base": "classifier64", "metric": "loss"}
    config = {"data.source": "folder", "data.path": "images", "data.crop": "centre", "data.validation": 0.0}
    config |= {"model.image_size": SIZE, "model.in_channels": 1, "model.out_channels": 10, **small, **training}
    sweep = Sweep.model_validate({**content, "mode": "min", "config": {**config, "model.attention_resolutions": []}})
    home = Home(tmp_path / "home")
    first = assay.run(sweep, home, executor="inline", listeners=[_Changes(images / "3_03.bmp")])
    (trial,) = first.trials
    assert trial.error is not None
    last = one_line(trial.error.cause)
    assert "3_03.bmp changed while it was read" in last
    key = trial.planned.leaf.key
    assert Store(home.store_url).get(key) is None
    again = assay.run(sweep, home, executor="inline")
    assert again.trials[0].metrics["loss"] > 0
    assert again.trials[0].planned.leaf.key != key
