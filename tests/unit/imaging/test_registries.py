"""Extractors, metrics and data sources by name: a package adds one in a file of its own, and trials run with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import assay
from adm import checkpoints, presets
from adm.models import build
from adm.workload import workload
from assay.errors import ConfigError, UserError
from assay.execution import Outcome
from assay.home import Home
from assay.sweep import Sweep
from assay.workload import Stage, topological
from imaging.data.digits import digits
from imaging.metrics import METRICS, Metric
from installed import install

NUM_SAMPLES = 30
BRIGHTNESS = '''
import torch

from imaging.extractors import FEATURES, Extractor
from imaging.extractors.features import Features
from imaging.metrics import Metric

EXTRACTOR = Extractor("brightness:Quadrants")
METRIC = Metric("brightness:gap", reports=("brightness_gap",))


class Quadrants(Features):
    """The mean of each quadrant of an image, from 0 to 1."""

    def extract(self, images):
        n, side = images.shape[:2]
        quadrants = images.reshape(n, 2, side // 2, 2, side // 2, -1).mean(axis=(2, 4, 5)) / 255
        return {FEATURES: torch.tensor(quadrants).flatten(1)}


def gap(comparison):
    """How much brighter samples are than the reference."""
    return {"brightness_gap": float(comparison.samples.mean() - comparison.reference.mean())}
'''
NPY = '''
import numpy as np
from PIL import Image

from imaging.contents import Files
from imaging.data.paths import located
from imaging.data_sources import DataSource

SOURCE = DataSource("npy_images:Npy", "npy_images:files", options=("crop",))


class Npy:
    """An array uint8 (N, H, W) as numpy.save writes it."""

    scattered = True
    labels = None

    def __init__(self, data):
        self.files = files(data)
        self.labels_from = self.files.path(0)
        self._images = np.load(self.files.path(0), mmap_mode="r")

    def __len__(self):
        return len(self._images)

    def name(self, index):
        return f"image {index} of {self.files.path(0)}"

    def file_of(self, index):
        return 0

    def open(self, index):
        return Image.fromarray(np.array(self._images[index]))


def files(data):
    path = located(data, "an npy file of images", folder=False, file=True)
    return Files(str(path.parent), [path.name])
'''


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A trial of a network of the digits that was never trained: fast, and its samples are all different."""
    model = presets.load("digits").model
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    checkpoints.save(path, build(model).state_dict(), model)
    return {
        "train.checkpoint": str(path),
        "classifier": None,
        "evaluate.extractor": "pixels",
        "evaluate.num_samples": NUM_SAMPLES,
        "sample.steps": 2,
        "sample.precision": "fp32",
    }


def run(settings: dict[str, Any], metric: str, folder: Path) -> Outcome:
    about = {"version": 1, "name": "added", "workload": "adm", "base": "digits", "metric": metric, "mode": "min"}
    return assay.run(Sweep.model_validate({**about, "config": settings}), Home(folder), executor="inline")


def stages(settings: dict[str, Any]) -> dict[str, Stage]:
    return {stage.name: stage for stage in topological(workload.stages(workload.resolve("digits", settings)))}


@pytest.fixture
def brightness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = {"imaging.extractors": "quadrants = brightness:EXTRACTOR", "imaging.metrics": "gap = brightness:METRIC"}
    install(tmp_path, monkeypatch, "brightness", BRIGHTNESS, entries)


@pytest.mark.slow
@pytest.mark.usefixtures("brightness")
def test_a_package_adds_an_extractor_and_a_metric_in_it(settings: dict[str, Any], tmp_path: Path) -> None:
    settings = {**settings, "evaluate.extractor": "quadrants", "evaluate.metrics": ["gap"]}
    (trial,) = run(settings, "brightness_gap", tmp_path / "results").trials
    assert trial.error is None
    assert {"fd_quadrants", "precision", "recall", "kid", "brightness_gap"} <= trial.metrics.keys()
    real = digits().read(np.arange(1797)).images.mean() / 255
    drawn = trial.metrics["brightness_gap"] + real
    assert 0.3 < drawn < 0.7  # a network that was never trained draws noise around grey


@pytest.mark.usefixtures("brightness")
def test_a_metric_that_is_asked_for_changes_the_evaluation_alone(settings: dict[str, Any]) -> None:
    """An installed package changes no key before it is used; and what it adds draws and extracts nothing anew."""
    plain, more = stages(settings), stages({**settings, "evaluate.metrics": ["gap"]})
    assert {name for name in plain if plain[name].key != more[name].key} == {"evaluate"}
    assert "brightness_gap" in workload.metrics(workload.resolve("digits", {**settings, "evaluate.metrics": ["gap"]}))


@pytest.mark.usefixtures("brightness")
def test_a_metric_that_reports_what_another_does_is_refused(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(METRICS, "_entries", dict(METRICS._entries))  # what is registered here is gone afterwards
    METRICS.register("again", Metric("brightness:gap", reports=("kid",)))
    METRICS.register("absent", Metric("brightness:nothing"))
    with pytest.raises(ConfigError) as caught:
        workload.resolve("digits", {**settings, "evaluate.metrics": ["again", "absent"]})
    assert "kid would be reported by two metrics; leave one out" in str(caught.value)
    assert "absent: 'brightness:nothing': the module brightness has no nothing" in str(caught.value)


@pytest.mark.slow
def test_a_package_adds_a_data_source(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, "npy_images", NPY, {"imaging.data_sources": "npy = npy_images:SOURCE"})
    images = digits().read(np.arange(400)).images[..., 0]
    np.save(tmp_path / "digits.npy", images)
    settings = {**settings, "data.source": "npy", "data.path": str(tmp_path / "digits.npy")}
    settings["evaluate.num_reference"] = None
    (trial,) = run(settings, "fd_pixels", tmp_path / "results").trials
    assert trial.error is None
    assert trial.metrics["num_reference"] == 400
    before = stages(settings)["reference"].key
    np.save(tmp_path / "digits.npy", images[::-1])
    assert stages(settings)["reference"].key != before
    with pytest.raises(ConfigError, match=r"'subfolder' has no effect on data\.source npy: it is for folder"):
        workload.resolve("digits", {**settings, "data.labels": "subfolder"})
    with pytest.raises(UserError, match=r"nowhere\.npy' is not a file: it does not exist"):
        run({**settings, "data.path": "nowhere.npy"}, "fd_pixels", tmp_path / "results")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("data.source", "webdataset", "unknown data source 'webdataset'; allowed: digits, folder, npz, parquet, lmdb"),
        ("evaluate.extractor", "resnet", "unknown extractor 'resnet'; allowed: pixels, inception, dinov2, clip"),
        ("evaluate.metrics", ["vendi"], "unknown metric 'vendi'; allowed: frechet, spatial_frechet, inception_score"),
        (
            "evaluate.metrics",
            ["inception_score"],
            "inception_score: needs logits, which evaluate.extractor",
        ),
    ],
)
def test_a_name_that_will_not_do_is_refused_with_what_would(
    settings: dict[str, Any], path: str, value: Any, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        workload.resolve("digits", {**settings, path: value})
