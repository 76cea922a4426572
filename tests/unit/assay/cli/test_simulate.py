"""`assay plan --on`: what it says, as JSON, as a picture, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assay.cli import main


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "home"))
    (tmp_path / "study.yaml").write_text(
        "version: 1\nname: study\nworkload: adm\nbase: digits\nmetric: fd_classifier\nmode: min\n"
        "arms: {a: {}, b: {model.norm: add}}\n"
        "resources: {train: {workers: 2, gpus_per_worker: 1}, sample: {actors: [1, 8], gpus_per_actor: 1}}\n"
    )
    return tmp_path


def test_it_says_when_the_run_ends_what_is_idle_and_what_the_machines_cost(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "home").mkdir()
    price = "{device: V100, usd_per_hour: 3.0, date: 2026-11-30, source: a list}"
    (project / "home/settings.yaml").write_text(f"prices: [{price}]\n")
    assert main(["plan", "study.yaml", "--on", "2xp3.8xlarge", "--starts-after", "10m"]) == 0
    out = capsys.readouterr().out
    assert "on 2 × p3.8xlarge (8 V100-16GB): " in out
    assert "idle: machines are starting" in out
    assert "no order could be faster than" in out
    assert "dollars: $" in out
    assert "counted as none: " in out


def test_json_has_every_span_and_a_chart_is_drawn(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["plan", "study.yaml", "--on", "2x(4xA100-40GB,32CPU)", "--losses", "0.5/h", "--chart", "gantt.png"]
    assert main([*command, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    spans = told["simulation"]["spans"]
    ended = {key for span in spans if not span["is_lost"] for key in span["keys"]}
    assert ended == {stage["key"] for stage in told["stages"]}
    assert told["simulation"]["seconds"] == max(span["end_seconds"] for span in spans)
    assert (project / "gantt.png").read_bytes().startswith(b"\x89PNG")
    assert main(["plan", "study.yaml", "--on", "1xp3.8xlarge", "--chart", "gantt.html"]) == 0
    page = (project / "gantt.html").read_text(encoding="utf-8")
    assert "study on 1 × p3.8xlarge" in page
    assert "no order could be faster than" in page
    assert "data:image/" in page


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--on", "8xp3.16xlrge"], "did you mean 'p3.16xlarge'?"),
        (["--on", "1xp3.2xlarge"], "stage train needs 2 GPU (1 × p3.2xlarge has 1)"),
        (["--on", "8CPU"], "2 GPU (1 × (8CPU) has 0)"),
        (["--losses", "0.1/h"], "--losses: got no machines, allowed: with --on"),
        (["--on", "8xp3.16xlarge", "--losses", "often"], "--losses: got 'often', allowed: how often each machine"),
        (["--on", "8xp3.16xlarge", "--starts-after", "10"], "--starts-after: got '10', allowed: a time such as 90s"),
        (
            ["--on", "8xp3.16xlarge", "--chart", "gantt.txt"],
            "--chart: got 'gantt.txt', allowed: a file whose name ends",
        ),
        (["--on", "8xp3.16xlarge", "--chart", "no/such/gantt.png"], "--chart: cannot write"),
    ],
)
def test_what_cannot_be_simulated_is_refused(
    options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", "study.yaml", *options]) in (2, 3)
    assert words in capsys.readouterr().err
