"""`adm-evaluate` by DINOv2 and CLIP, small ones, on folders, zips and npz files: figures, intervals, and the cache."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from click.testing import Result
from PIL import Image
from typer.testing import CliRunner

import imaging
from assay.cli.app import app as assay_app
from imaging.command import figures as command_figures
from imaging.command.cli import app
from imaging.extractors.vision import NETWORKS
from imaging.extractors.vision_transformer import Shape, VisionTransformer

SHAPES = {
    "dinov2": Shape(16, 1, 2, patch=14, side=28, grid=3, epsilon=1e-6, is_scaled=True),
    "clip": Shape(16, 1, 2, patch=14, side=28, grid=2, epsilon=1e-5, num_outputs=8),
}


def pictures(count: int, seed: int) -> npt.NDArray[np.uint8]:
    patches = np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
    return patches.repeat(4, axis=1).repeat(4, axis=2)


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Options that name weights of small networks, which take the place of the published sizes."""
    options = []
    for name, shape in SHAPES.items():
        generator = torch.Generator().manual_seed(0)
        state = VisionTransformer(shape).state_dict()
        state = {key: torch.randn(values.shape, generator=generator) / 4 for key, values in state.items()}
        torch.save(state, tmp_path / f"{name}.pth")
        monkeypatch.setitem(NETWORKS, name, replace(NETWORKS[name], shape=shape))
        options += [f"--{name}", str(tmp_path / f"{name}.pth")]
    return options


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Forty images as PNG files."""
    path = tmp_path / "real"
    path.mkdir()
    for index, image in enumerate(pictures(40, 1)):
        Image.fromarray(image).save(path / f"{index:03d}.png")
    return path


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    np.savez(tmp_path / "samples.npz", pictures(30, 2))
    return tmp_path / "samples.npz"


def run(*args: object) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args])


def metrics(*args: object) -> dict[str, Any]:
    result = run(*args, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)["samples"][0]["metrics"]


ASKED = ["--extractor", "dinov2", "--extractor", "clip", "--metric", "density_coverage", "--metric", "authpct"]


def test_every_space_reports_what_the_metrics_give_on_its_features(
    folder: Path, samples: Path, weights: list[str]
) -> None:
    found = metrics(folder, samples, *ASKED, *weights)
    features = {}
    for option, file in zip(weights[::2], weights[1::2], strict=True):
        network = NETWORKS[option[2:]].of_file(file)
        features[option[2:]] = network(pictures(40, 1)).numpy(), network(pictures(30, 2)).numpy()
    distance = next(name for name in found if name.startswith("fd_dinov2-"))
    assert list(found) == [
        *(distance, "precision", "recall", "density", "coverage", "authpct"),
        *("fd_clip", "precision_clip", "recall_clip", "cmmd", "density_clip", "coverage_clip", "authpct_clip"),
    ]
    assert found[distance]["value"] == pytest.approx(imaging.frechet_distance(*features["dinov2"]), rel=1e-4)
    assert found["cmmd"]["value"] == pytest.approx(imaging.cmmd(*features["clip"]), rel=1e-6)
    assert found["density_clip"]["value"] == imaging.density_coverage(*features["clip"]).density
    assert found["authpct"]["value"] == imaging.authpct(*features["dinov2"])
    for name in (distance, "cmmd", "density"):
        assert found[name]["low"] < found[name]["value"] < found[name]["high"]
        assert found[name]["num_reference"] == 40
    assert found["cmmd"]["extractor"].startswith("clip-vitl14-336-")


def test_a_folder_a_zip_and_an_npz_of_the_same_images_are_the_same(
    folder: Path, samples: Path, weights: list[str], tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "real.zip", "w") as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, file.name)
    np.savez(tmp_path / "real.npz", pictures(40, 1))
    options = ["--extractor", "clip", *weights]
    values = [
        {name: figure["value"] for name, figure in metrics(reference, samples, *options).items()}
        for reference in (folder, tmp_path / "real.zip", tmp_path / "real.npz")
    ]
    assert values[0] == values[1] == values[2]


def test_a_references_features_are_computed_once_until_an_image_changes(
    folder: Path, samples: Path, weights: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[str] = []
    once = command_figures.image_features
    monkeypatch.setattr(
        command_figures,
        "image_features",
        lambda spaces, images, *rest: passes.append(images.path.name) or once(spaces, images, *rest),
    )
    first = metrics(folder, samples, *ASKED, *weights)
    assert metrics(folder, samples, *ASKED, *weights) == first
    assert metrics(folder, samples, "--extractor", "clip", *weights)["cmmd"] == first["cmmd"]
    assert passes.count("real") == 1
    assert metrics(folder, samples, *ASKED, *weights, "--no-cache") == first
    Image.fromarray(pictures(1, 9)[0]).save(folder / "007.png")
    assert metrics(folder, samples, *ASKED, *weights)["cmmd"]["value"] != first["cmmd"]["value"]
    assert passes.count("real") == 3


def test_images_of_several_sizes_are_refused_or_resized(folder: Path, samples: Path, weights: list[str]) -> None:
    Image.fromarray(pictures(1, 9)[0]).resize((20, 24)).save(folder / "007.png")
    options = ["--extractor", "clip", *weights]
    refused = run(folder, samples, *options)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "007.png is 20×24, and" in refused.stderr
    assert "--size N crops and resizes all to N×N" in refused.stderr
    assert metrics(folder, samples, *options, "--size", 16)["cmmd"]["value"] > 0


def test_what_is_asked_wrongly_is_refused_before_anything_is_read(folder: Path, samples: Path, tmp_path: Path) -> None:
    for options, message in (
        (["--extractor", "resnet"], "--extractor 'resnet': allowed: inception, dinov2, clip"),
        (["--extractor", "dinov2", "--metric", "vendi"], "unknown metric 'vendi'"),
        (["--extractor", "dinov2", "--metric", "cmmd"], "cmmd is not defined in dinov2: add --extractor clip"),
        (["--extractor", "clip"], "curl -L -o"),
    ):
        result = run(folder, samples, *options)
        assert (result.exit_code, result.stdout) == (2, "")
        assert message in result.stderr
        assert result.stderr.count("\n") == 1


def test_statistics_alone_are_inceptions(samples: Path, weights: list[str], tmp_path: Path) -> None:
    np.savez(tmp_path / "statistics.npz", mu=np.zeros(2048), sigma=np.eye(2048))
    result = run(tmp_path / "statistics.npz", samples, "--extractor", "clip", *weights)
    assert "statistics.npz has only Inception's statistics: clip needs images (arr_0)" in result.stderr


def test_assay_evaluate_is_the_same_command(folder: Path, samples: Path, weights: list[str]) -> None:
    options = ["--extractor", "clip", "--json", *weights]
    ours, theirs = (
        CliRunner().invoke(command, [*name, str(folder), str(samples), *options])
        for command, name in ((app, []), (assay_app, ["evaluate"]))
    )
    assert theirs.exit_code == 0, theirs.stderr
    assert theirs.stdout == ours.stdout
    unknown = CliRunner().invoke(assay_app, ["evaluat"])
    assert unknown.exit_code == 2
    assert "No such command 'evaluat'" in unknown.stderr
