"""`adm-evaluate --self-check`: what a user runs to see that the evaluator finds what it must."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result
from typer.testing import CliRunner

import inception_by_rule
from imaging.command import self_check
from imaging.command.cli import app
from imaging.extractors import inception_weights

pytestmark = pytest.mark.slow


def run(*args: object) -> Result:
    return CliRunner().invoke(app, ["--self-check", *map(str, args)])


def saved(path: Path, count: int, side: int) -> Path:
    patches = np.random.default_rng(0).integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
    np.savez(path, patches.repeat(side // 4, axis=1).repeat(side // 4, axis=2))
    return path


def test_the_digits_need_no_weights() -> None:
    result = run()
    assert result.exit_code == 0, result.stderr
    assert "comparing by pixels instead of Inception's features: Inception's weights" in result.stderr
    assert inception_weights.URL in result.stderr
    header, names, itself, halves, verdict, about_halves = result.stdout.splitlines()
    assert header == "digits: 1,797 images, by pixels (64 features)"
    assert names.split() == ["FD", "precision", "recall", "KID", "±", "standard", "error"]
    *against, from_itself, of_precision, of_recall = itself.split()
    assert (*against, of_precision, of_recall) == ("against", "itself", "1.0000", "1.0000")
    assert abs(float(from_itself)) < 1e-6, "but for rounding"
    distance, precision, recall, kernel, _, error = halves.removeprefix("  one half against the other").split()
    assert 0 < float(distance) < 0.5
    assert 0.8 < min(float(precision), float(recall)) < 1
    assert abs(float(kernel)) < 4 * float(error)
    assert verdict.strip() == "OK: distance 0, precision and recall 1; the halves differ by chance alone"
    assert about_halves.strip().startswith(
        "the halves are judged by KID alone, which may be 4 standard errors from 0; their FD"
    )


def test_inception_is_used_where_its_weights_are(tmp_path: Path) -> None:
    weights = tmp_path / "weights.pth"
    torch.save(inception_by_rule.weights(), weights)
    result = run(saved(tmp_path / "data.npz", 20, 8), "--inception", weights, "--any-weights", "--json")
    assert result.exit_code == 0, result.stderr
    out = json.loads(result.stdout)
    (check,) = out["self_checks"]
    assert check["extractor"].startswith("inception-")
    assert (check["num_images"], check["num_features"], check["faults"]) == (20, 2048, [])
    assert check["distance"] == pytest.approx(0, abs=1e-6)
    assert (check["precision"], check["recall"]) == (1, 1)
    assert check["halves_distance"] > 0.01
    assert any("10 samples for 2048 features" in line for line in out["warnings"])


def test_a_fault_is_said_and_is_the_exit_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = self_check.SelfCheck("data", 40, "pixels", 3, 0.0, 1.0, 1.0, 0.2, 0.9, 0.9, 0.001, 0.001)
    assert sound.faults == []
    bad = replace(sound, distance=0.1, recall=0.5, halves_kid=-0.01)
    assert [fault.split(" of")[0] for fault in bad.faults] == [
        "the data has distance 0.1 from itself, not 0",
        "precision and recall",
        "the KID",
    ]
    monkeypatch.setattr(self_check, "LARGEST_DISTANCE", -1.0)
    result = run(saved(tmp_path / "data.npz", 40, 8))
    assert result.exit_code == 1
    assert re.search(r"the data has distance \S+ from itself, not 0", result.stdout)


def test_what_cannot_be_checked_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path, message in {
        saved(tmp_path / "few.npz", 19, 8): "a self-check needs at least 20 images; got 19",
        saved(tmp_path / "large.npz", 20, 40): "by pixels, but these have 4,800 values, allowed: at most 4,096",
        tmp_path / "absent.npz": "does not exist; an npz file is needed",
    }.items():
        result = run(path)
        assert (result.exit_code, result.stdout) == (2, "")
        assert f"adm-evaluate: {path}" in result.stderr
        assert message in result.stderr
    assert run("--inception", tmp_path / "nowhere.pth").exit_code == 2
    monkeypatch.setenv(inception_weights.ENVIRONMENT, str(tmp_path / "nowhere.pth"))
    result = run()
    assert (result.exit_code, result.stdout) == (2, "")
    assert "nowhere.pth (from ADM_INCEPTION_WEIGHTS) does not exist" in result.stderr
