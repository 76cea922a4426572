"""Whole trainings of adm in this process: which checkpoints stay, images that are broken, the presets' own data."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from adm.workload import workload
from assay.errors import ConfigError, UserError
from assay.execution import inline
from assay.store import Store, StoredResult
from assay.store.checkpoints import Checkpoints
from assay.workload import Stage, load_attribute, topological
from imaging.data import open_source, split
from imaging.data.sources import data_config

SMALL = {
    "channels": 32,
    "num_res_blocks": 1,
    "channel_mult": [1],
    "attention_resolutions": [],
}
FAST = {"engine": "torch", "precision": "fp32"}


def under(section: str, values: dict[str, Any]) -> dict[str, Any]:
    return {f"{section}.{name}": value for name, value in values.items()}


def stages(base: str, overrides: dict[str, Any]) -> dict[str, Stage]:
    return {stage.name: stage for stage in topological(workload.stages(workload.resolve(base, overrides)))}


def train(stage: Stage, store: Store) -> StoredResult:
    inline.execute(stage, store, 1, lambda event: None)
    result = store.get(stage.key)
    assert result is not None
    return result


@pytest.mark.slow
def test_the_checkpoints_that_the_config_asks_for_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[list[int]] = []
    commit = Checkpoints.commit

    def watched(self: Checkpoints, *args: Any) -> Any:
        saved = commit(self, *args)
        kept.append(self.steps())
        return saved

    monkeypatch.setattr(Checkpoints, "commit", watched)
    retention = {"checkpoint_every": 1, "keep_last": 2, "keep_every": 4, "keep_best": True}
    worse_and_worse = {"iterations": 8, "batch_size": 8, "learning_rate": 1.0}
    overrides = under("model", SMALL) | under("train", {**FAST, **retention, **worse_and_worse})
    stage, store = stages("digits", overrides)["train"], Store(tmp_path)
    history = [point["loss"] for point in train(stage, store).history]
    assert history[0] == min(history), "its first checkpoint is the best"
    assert kept == [[1], [1, 2], [1, 2, 3], [1, 3, 4], [1, 4, 5], [1, 4, 5, 6], [1, 4, 6, 7], [1, 4, 7, 8]]
    assert store.checkpoints(stage).steps() == [1, 4, 8], "once it is done, the last one alone, and those for good"


def test_every_broken_image_counts_once_over_all_runs_and_held_out_ones_too(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(40):
        pixels = np.random.default_rng(index).integers(0, 256, (8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index % 10}_{index:02}.png")
    data = {"source": "folder", "path": str(folder), "broken_images": "skip", "validation": 0.25}
    half = under("data", data) | under("classifier.model", SMALL)
    half |= {"evaluate.num_reference": None}
    half |= under("classifier.train", {**FAST, "batch_size": 10, "iterations": 3})
    whole = half | {"classifier.train.iterations": 4}
    source = open_source(data_config(data), 8, 1)
    training, held_out = split(source, 0.25)
    paths = sorted(folder.iterdir())
    for index in (*training[[3, 11, 20, 27]], *held_out[[2, 7]]):
        paths[index].write_bytes(b"no image")
    first, then = (stages("digits", overrides)["train_classifier"] for overrides in (half, whole))
    store = Store(tmp_path / "store")
    assert train(first, store).notes["skipped_images"] == 6, "three steps see all 30 to train on"
    assert train(then, store).notes["skipped_images"] == 6, "the fourth sees ten, and few of the broken ones"


def coloured(folder: Path, classes: int, each: int) -> Path:
    """`each` images per class, of its colour."""
    folder.mkdir()
    for number in range(classes * each):
        grey = number % classes * 80
        Image.new("L", (8, 8), grey).save(folder / f"{number % classes}_{number:02}.png")
    return folder


@pytest.mark.slow
def test_a_classifier_is_measured_on_a_data_set_of_its_own_and_trained_on_all_of_the_other(tmp_path: Path) -> None:
    data = {"source": "folder", "path": str(coloured(tmp_path / "train", 3, 8)), "validation": 0.0}
    own = {**data, "validation_path": str(coloured(tmp_path / "validation", 3, 5))}
    small = {"classifier.model.out_channels": 3, "model.num_classes": 3, **under("classifier.model", SMALL)}
    small |= {"evaluate.num_reference": None, "sample.guidance_scale": 1.0}
    small |= under("classifier.train", {**FAST, "batch_size": 4, "iterations": 2})
    small |= {"classifier.train.ema_rates": [0.0]}
    without, measured = (stages("digits", {**small, **under("data", each)})["train_classifier"] for each in (data, own))
    assert without.key != measured.key
    result = train(measured, Store(tmp_path / "store"))
    share = result.metrics["accuracy_t0"] * 15
    assert share == pytest.approx(round(share)), "of the 15 validation images"
    fewer = {**own, "validation_path": str(coloured(tmp_path / "fewer", 2, 5))}
    stage = stages("digits", {**small, **under("data", fewer)})["train_classifier"]
    assert stage.check is not None
    with pytest.raises(UserError, match=r"fewer has 2 classes, but data.path has 3"):
        load_attribute(stage.check)(stage.config)


def test_validation_images_come_from_one_place() -> None:
    with pytest.raises(
        ConfigError, match=r"data\.validation 0\.1 has no effect with data\.validation_path; set it to 0"
    ):
        workload.resolve("classifier64", {"data.validation": 0.1, "data.validation_path": "validation"})
    with pytest.raises(ConfigError, match=r"data\.validation_path is not used by the built-in digits"):
        workload.resolve("digits", {"data.validation": 0.0, "data.validation_path": "validation"})
    config = workload.resolve("classifier64", {"data.validation_path": "validation"})
    assert "accuracy_t0" in workload.metrics(config)


@pytest.mark.slow
def test_cifar10_trains_both_networks_on_a_parquet_file(tmp_path: Path) -> None:
    def encoded(index: int) -> bytes:
        buffer = io.BytesIO()
        pixels = np.random.default_rng(index).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(buffer, "png")
        return buffer.getvalue()

    images = [{"bytes": encoded(index), "path": f"{index}.png"} for index in range(40)]
    pq.write_table(
        pa.table({"image": images, "label": [index % 10 for index in range(40)]}), tmp_path / "train.parquet"
    )
    overrides: dict[str, Any] = {"data.path": str(tmp_path / "train.parquet"), "evaluate.num_reference": None}
    for section in ("", "classifier."):
        overrides |= under(f"{section}model", SMALL)
        overrides |= under(f"{section}train", {**FAST, "iterations": 2, "batch_size": 4, "checkpoint_every": 2})
    overrides["data.validation"] = 0.25
    found, store = stages("cifar10", overrides), Store(tmp_path / "store")
    for name in ("train", "train_classifier"):
        result = train(found[name], store)
        assert [point["step"] for point in result.history] == [1, 2]
        assert all(np.isfinite(point["loss"]) for point in result.history)
        assert result.file("model.safetensors").is_file()
    assert {"accuracy_t0", "accuracy_t750"} <= result.metrics.keys()
