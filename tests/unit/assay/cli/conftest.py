"""A project folder with a sweep of the toy workload, and the `assay` command in it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from assay.cli import main
from repository import FIXTURES

SWEEP = """\
version: 1
name: norms
description: Which norm?
workload: toy
base: tiny
arms:
  AdaGN: {model.norm: adagn}
  addition: {model.norm: add}
parameters:
  sample.scale: {values: [0.0, 1.0]}
metric: distance
mode: min
reference:
  source: table 3
  rows:
    - {when: {model.norm: adagn}, distance: 13.06}
    - {when: {model.norm: add, sample.scale: 1}, distance: 15.08}
profiles:
  smoke: {config: {train.iterations: 5}}
"""


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder that, on the path, makes the toy an installed workload."""
    folder = tmp_path / "site"
    info = folder / "toy-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[assay.workloads]\ntoy = toy_workload:workload\n")
    (folder / "toy_workload.py").symlink_to(FIXTURES / "toy_workload.py")
    return folder


@pytest.fixture
def project(tmp_path: Path, site: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user stands: an empty home, and sweeps/norms.yaml."""
    folder = tmp_path / "project"
    (folder / "sweeps").mkdir(parents=True)
    (folder / "sweeps" / "norms.yaml").write_text(SWEEP)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(site)
    monkeypatch.delenv("ASSAY_HOME", raising=False)
    monkeypatch.delenv("ASSAY_STORE", raising=False)
    monkeypatch.setenv("COLUMNS", "120")
    return folder


@pytest.fixture
def assay(project: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """`assay ARGS…` in this process; `run` without Ray and MLflow."""

    def call(*args: str) -> Result:
        capfd.readouterr()
        extra = ["--executor", "inline", "--no-tracking"] if args[:1] == ("run",) else []
        code = main([*args, *extra])
        out, err = capfd.readouterr()
        return Result(code, out, err)

    return call


@pytest.fixture
def process(project: Path, site: Path) -> Callable[..., subprocess.Popen[str]]:
    """`python CODE` in a process of its own, standing in the project."""

    def start(*args: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONPATH": str(site), "COLUMNS": "120"}
        return subprocess.Popen(
            [sys.executable, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )

    return start
