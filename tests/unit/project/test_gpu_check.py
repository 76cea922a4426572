"""The check for a GPU runs on a CPU in miniature, with neither Ray nor MLflow, and its JSON has every part."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from repository import TESTS

CHECK = TESTS / "gpu" / "check.py"
WITHOUT_PLATFORM = """
import runpy, sys
sys.modules["ray"] = sys.modules["mlflow"] = None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.slow
def test_the_check_in_miniature(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    command = [sys.executable, "-c", WITHOUT_PLATFORM, str(CHECK), "--device", "cpu", "--json", str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads(path.read_text())["rows"]
    assert all(row["case"] in done.stdout for row in rows)
    by_part: dict[str, list[dict[str, float]]] = {}
    for row in rows:
        by_part.setdefault(row["part"], []).append(row)
    assert list(by_part) == ["parity", "training", "sampling", "adam", "inception", "noise"]
    assert {row["case"] for row in by_part["parity"]} >= {"naive bf16", "optimized fp32", "optimized bf16"}
    rates = [row["images_s"] for row in rows if "images_s" in row]
    assert len(rates) >= 1 + 4 + 1 + 2
    assert all(rate > 0 and math.isfinite(rate) for rate in rates)


def test_a_part_is_not_begun_when_its_time_is_over() -> None:
    command = [sys.executable, str(CHECK), "--device", "cpu", "--parts", "noise", "--minutes", "0"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "noise not run: 0 minutes are over" in done.stdout
