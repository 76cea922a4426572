"""The early-stopping script as `--smoke` runs it, on a cluster of its own, with trainings cut to a few steps."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from repository import ROOT

SCRIPT = ROOT / "sweeps" / "early_stopping_study.py"
SHORT = {
    "scheduler.rungs": "[2, 4, 100000]",
    "classifier.train.iterations": "2",
    "sample.steps": "2",
    "evaluate.num_samples": "20",
    "evaluate.num_reference": "40",
}
pytestmark = [pytest.mark.studies, pytest.mark.cluster]


def test_the_script_starts_a_cluster_stops_what_beat_the_target_and_says_what_it_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path))
    monkeypatch.delenv("ASSAY_STORE", raising=False)
    sets = [word for path, value in SHORT.items() for word in ("--set", f"{path}={value}")]
    study = runpy.run_path(str(SCRIPT))
    assert study["main"](["--smoke", "--target", "1e9", *sets]) == 0
    said = capfd.readouterr().out
    assert "2 iterations: fd_classifier" in said
    assert "beats the target\nbeaten; the job is stopped: STOPPED\n" in said
    assert "tiny_digits beat it after 2 iterations. V100-days of training until there:" in said
    days = {name: float(value) for name, value in re.findall(r"^  (\w+) +([\d.e-]+)", said, re.MULTILINE)}
    assert {"train", "train_classifier", "total"} <= days.keys()
    assert 0 < days["train"] < days["total"]
