"""An arm that is a file of images: it is evaluated as if the trial had drawn them, and trains nothing."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import assay
from adm.workload import workload
from assay.errors import ConfigError, UserError
from assay.home import Home
from assay.planning import checked, make_plan
from assay.results.table import table
from assay.store import Store
from assay.sweep import Sweep

NUM = 30
HEAD = {"version": 1, "name": "given", "workload": "adm", "base": "tiny_digits", "metric": "fd_pixels", "mode": "min"}
CONFIG = {
    "model.channel_mult": [1],
    "model.attention_resolutions": [],
    "train.iterations": 2,
    "train.batch_size": 4,
    "train.precision": "fp32",
    "sample.sampler": "ddim",
    "sample.steps": 2,
    "sample.guidance_scale": 0.0,
    "sample.precision": "fp32",
    "evaluate.num_samples": NUM,
    "evaluate.num_reference": 40,
    "evaluate.extractor": "pixels",
}


def sweep(arms: dict[str, dict[str, Any]], **config: Any) -> Sweep:
    return Sweep.model_validate({**HEAD, "config": {**CONFIG, **config}, "arms": arms})


def arm(**config: Any) -> dict[str, Any]:
    return {name.replace("__", "."): value for name, value in config.items()}


@pytest.fixture
def images() -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 256, (NUM + 5, 8, 8, 1), dtype=np.uint8)


def as_pngs(images: np.ndarray[Any, np.dtype[np.uint8]], folder: Path) -> Path:
    folder.mkdir()
    for index, image in enumerate(images):
        Image.fromarray(image[..., 0]).save(folder / f"{index:06}.png")
    return folder


def as_zip(folder: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, f"inner/{file.name}")
    return path


def as_npz(images: np.ndarray[Any, np.dtype[np.uint8]], path: Path) -> Path:
    np.savez(path, images)
    return path


@pytest.mark.slow
def test_images_that_a_trial_drew_have_its_metrics_whatever_file_they_are_in(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    drawn = assay.run(sweep({"drawn": {}}, **{"sample.keep_images": "npz"}), home, executor="inline")
    (kept,) = (stage for stage in drawn.plan.stages.values() if stage.name == "images")
    result = Store(home.store_url).get(kept.key)
    assert result is not None
    with np.load(result.file("samples.npz")) as archive:
        images = archive["arr_0"]
    folder = as_pngs(images, tmp_path / "folder")
    files = [as_npz(images, tmp_path / "some.npz"), folder, as_zip(folder, tmp_path / "some.zip")]
    arms = {"drawn": {}} | {path.name: {"samples": str(path)} for path in files}
    outcome = assay.run(sweep(arms), home, executor="inline")
    rows = table(outcome.plan, outcome.trials).rows
    assert {row.rank for row in rows} == {1, 2, 3, 4}, "all are ranked together"
    assert len({str(sorted(row.metrics.items())) for row in rows}) == 1
    given = next(trial for trial in outcome.trials if trial.planned.name == "some.zip")
    names = {stage.name for stage in given.planned.stages}
    assert names == {"reference", "statistics", "features", "evaluate"}, "nothing is trained or drawn"
    assert given.results[given.planned.leaf.key].file("samples.png").is_file()


def test_the_key_is_of_what_the_file_holds(images: np.ndarray[Any, np.dtype[np.uint8]], tmp_path: Path) -> None:
    def key(path: Path) -> str:
        return make_plan(sweep({"given": {"samples": str(path)}})).trials[0].leaf.key

    one, copy, other = (tmp_path / name for name in ("one.npz", "copy.npz", "other.npz"))
    as_npz(images, one)
    copy.write_bytes(one.read_bytes())
    as_npz(images[::-1], other)
    assert key(one) == key(copy) != key(other)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            arm(evaluate__num_samples=50),
            r"evaluate\.num_samples: got 50, but samples '.*' has 35 images; allowed: at most",
        ),
        (arm(measure="throughput"), r"samples: has an effect only where samples are evaluated"),
    ],
)
def test_what_is_wrong_is_said_when_the_sweep_is_validated(
    images: np.ndarray[Any, np.dtype[np.uint8]], tmp_path: Path, settings: dict[str, Any], told: str
) -> None:
    path = as_npz(images, tmp_path / "some.npz")
    with pytest.raises(ConfigError, match=told):
        workload.resolve("tiny_digits", {**CONFIG, "samples": str(path), **settings})


def test_a_file_that_is_no_npz_is_named(tmp_path: Path) -> None:
    (tmp_path / "some.npz").write_text("no images")
    with pytest.raises(ConfigError, match=r"samples: .*some\.npz cannot be read as an npz file"):
        workload.resolve("tiny_digits", {**CONFIG, "samples": str(tmp_path / "some.npz")})


def test_images_of_another_size_are_refused_before_anything_is_computed(tmp_path: Path) -> None:
    path = as_npz(np.zeros((NUM, 16, 16, 1), np.uint8), tmp_path / "some.npz")
    plan = make_plan(sweep({"given": {"samples": str(path)}}))
    with pytest.raises(UserError, match=r"image 0 of .*some\.npz is 16×16, but .* exactly 8×8"):
        checked(plan)


def test_a_file_that_is_not_here_is_planned_with_a_warning(tmp_path: Path) -> None:
    plan = make_plan(sweep({"given": {"samples": str(tmp_path / "absent.npz")}}))
    (warned,) = checked(plan).warned_by_checks
    assert "samples '" in warned.message
    assert "it does not exist" in warned.message
