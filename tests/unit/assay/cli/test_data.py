"""Data and resources that a training cannot do with: said in one line, and nothing is started."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image


def png(side: int = 32, seed: int = 0) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "png")
    return buffer.getvalue()


def empty_folder(path: Path) -> dict[str, Any]:
    path.mkdir()
    return {"data.source": "folder"}


def mixed_sizes(path: Path) -> dict[str, Any]:
    path.mkdir()
    for index in range(10):
        for copy in range(4):
            (path / f"{index}_{copy}.png").write_bytes(png(33 if (index, copy) == (4, 2) else 32))
    return {"data.source": "folder", "data.crop": "none"}


def a_bad_label(path: Path) -> dict[str, Any]:
    pq.write_table(pa.table({"image": [png(seed=seed) for seed in range(11)], "label": list(range(11))}), path)
    return {}


def no_such_column(path: Path) -> dict[str, Any]:
    pq.write_table(pa.table({"img": [png(seed=seed) for seed in range(10)], "label": list(range(10))}), path)
    return {}


@pytest.mark.parametrize(
    ("write", "told"),
    [
        (empty_folder, "contains no images; looked for .png"),
        (mixed_sizes, "4_2.png is 33×33, but data.crop none takes images of exactly 32×32"),
        (a_bad_label, "the data has 11 classes, but the model has 10: image 10 has label 10, allowed: 0 to 9"),
        (no_such_column, "no column 'image' (data.image_column), only img, label; did you mean 'img'?"),
    ],
)
def test_it_is_told_in_one_line_and_nothing_is_started(
    assay: Callable[..., Any], project: Path, write: Callable[[Path], dict[str, Any]], told: str
) -> None:
    config = {"data.path": str(project / "images"), "evaluate.num_samples": 5, "evaluate.num_reference": 5}
    sweep = {"version": 1, "name": "photographs", "workload": "adm", "base": "cifar10", "metric": "fd_classifier"}
    content = {**sweep, "mode": "min", "config": config | write(project / "images")}
    (project / "sweeps" / "photographs.yaml").write_text(json.dumps(content))
    result = assay("run", "photographs")
    assert result.code == 2
    said = result.err.strip().splitlines()
    assert told in said[0]
    # What planning refuses already is not even about to be started.
    assert said[1:] == ([] if write is empty_folder else ["Nothing was started."]), result.err
    assert "started" not in result.out


@pytest.mark.parametrize("command", ["validate", "plan", "run"])
@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"train.precision": "fp16"}, "train: train.precision fp16 is for GPUs; on a CPU use auto, bf16 or fp32"),
        (
            {"resources.train.workers": "8", "classifier.train.batch_size": "2"},
            "train_classifier: batch_size 2 is too small",
        ),
        (
            {"resources.train.workers": "[1,3]", "train.batch_size": "2"},
            "train: batch_size 2 is too small for 3",
        ),
    ],
)
def test_a_training_that_no_group_of_the_resources_can_do_is_refused(
    assay: Callable[..., Any], project: Path, command: str, changes: dict[str, str], told: str
) -> None:
    sweep = {"version": 1, "name": "few", "workload": "adm", "base": "digits", "metric": "fd_classifier", "mode": "min"}
    (project / "sweeps" / "few.yaml").write_text(json.dumps(sweep))
    result = assay(command, "few", *(part for path, value in changes.items() for part in ("--set", f"{path}={value}")))
    assert result.code == 2
    assert told in result.err
    lines = result.err.strip().splitlines()
    assert len(lines) == 1 or (command == "run" and lines[1:] == ["Nothing was started."]), result.err
    assert "good" not in result.out
    assert "started" not in result.out


def test_data_is_verified_where_that_is_asked_for(assay: Callable[..., Any], project: Path) -> None:
    (project / "images").mkdir()
    for index in range(10):
        (project / "images" / f"{index}_0.png").write_bytes(png(seed=index))
    config = {"data.source": "folder", "data.path": "images", "evaluate.num_samples": 5, "evaluate.num_reference": 5}
    sweep = {"version": 1, "name": "photographs", "workload": "adm", "base": "cifar10", "metric": "fd_classifier"}
    (project / "sweeps" / "photographs.yaml").write_text(json.dumps({**sweep, "mode": "min", "config": config}))
    for command in ("validate", "plan"):
        result = assay(command, "photographs", "--verify-data")
        assert result.code == 0
        assert f"verified: 10 files in {project / 'images'} read whole" in result.err.splitlines()
        assert "verified" not in assay(command, "photographs").err
