"""Why a stage is to be computed, in words that name the setting."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assay.cli import main

SWEEP = """\
version: 1
name: why
workload: steps
base: short
config: {iterations: 8, num_rows: 6}
metric: error
mode: min
"""


@pytest.fixture(autouse=True)
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    import installed

    entries = {"assay.workloads": "steps = steps_workload:workload"}
    installed.install(tmp_path, monkeypatch, "steps_entry", "", entries)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "home"))
    (tmp_path / "why.yaml").write_text(SWEEP)
    assert main(["run", "why.yaml", "--executor", "inline", "--no-tracking"]) == 0
    capfd.readouterr()


def said(capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["why", *arguments]) == 0
    return capfd.readouterr().out


def test_a_finished_sweep_has_nothing_to_explain(capfd: pytest.CaptureFixture[str]) -> None:
    assert said(capfd, "why.yaml") == "all 3 stages are stored\n"


def test_a_larger_budget_is_the_reason_and_where_it_continues(capfd: pytest.CaptureFixture[str]) -> None:
    text = said(capfd, "why.yaml", "--set", "iterations=12")
    train, rows, measure = text.split("\n\n")
    assert "8 of 12 iterations are stored: it continues there" in train
    assert "iterations  12 iterations, stored: 8 iterations" in train
    assert "it reads train, which is not the one that was stored" in rows
    assert "it reads rows, which is not the one that was stored" in measure


def test_a_setting_is_named_with_both_values(capfd: pytest.CaptureFixture[str]) -> None:
    assert "batched  true, stored: false" in said(capfd, "why.yaml", "--set", "batched=true")


def test_a_key_alone_is_found_in_the_sweeps_that_ran_here(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "why.yaml", "--json", "--set", "lacks=true"]) == 0
    key = json.loads(capfd.readouterr().out)["stages"][-1]["key"]
    assert "lacks  true, stored: false" in said(capfd, key[:10], "why.yaml", "--set", "lacks=true")
    assert main(["plan", "why.yaml", "--json"]) == 0
    stored = json.loads(capfd.readouterr().out)["stages"][0]["key"]
    assert said(capfd, stored[:10]) == f"train {stored} is stored\n"
    assert main(["why", "0123456789"]) == 2
    assert "name its sweep: assay why 0123456789 SWEEP" in capfd.readouterr().err


def test_json_has_every_difference(capfd: pytest.CaptureFixture[str]) -> None:
    (reason,) = json.loads(said(capfd, "why.yaml", "--set", "lacks=true", "--json"))
    assert reason["differences"] == [{"what": "lacks", "planned": "true", "stored": "false"}]
    assert reason["state"] == "missing"
