"""A study that uses every folder of a store, run once, and copies of its store to damage."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import assay
from assay.cli.commands import doctor
from assay.execution import Event, Outcome
from assay.home import Home
from assay.sweep import Sweep, load_sweep

SWEEP = """\
version: 1
name: race
workload: settling
base: tiny
parameters:
  sample.scale: {values: [0.0, 1.0]}
scheduler: {name: halving, budget: train.iterations, rungs: [5, 10], divisor: 2}
metric: distance
mode: min
"""


@dataclass
class Study:
    """`whole` is the store of the run that nothing disturbed."""

    sweep: Sweep
    whole: Path
    expected: dict[str, Any]
    warnings: list[str] = field(default_factory=list)

    def copy(self, home: Path) -> Path:
        """A store of the same files, in a home. They are shared: damage puts another in the place of one."""
        for folder, _, names in os.walk(self.whole):
            there = home / "store" / Path(folder).relative_to(self.whole)
            there.mkdir(parents=True)
            for name in names:
                os.link(Path(folder) / name, there / name)
        return home / "store"

    def run(self, home: Path) -> dict[str, Any]:
        self.warnings.clear()
        return numbers(assay.run(self.sweep, Home(home), executor="inline", listeners=[self]))

    def begin(self, *_: object) -> None: ...

    def end(self, outcome: Outcome) -> None: ...

    def event(self, event: Event) -> None:
        if event.kind == "warning":
            self.warnings.append(event.message)


def numbers(outcome: Outcome) -> dict[str, Any]:
    assert not outcome.failed, outcome.failed[0].error
    return {trial.planned.name: trial.metrics for trial in outcome.trials}


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    (tmp_path / "race.yaml").write_text(SWEEP)
    installed = tmp_path / "site" / "settling-1.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: settling\nVersion: 1\n")
    (installed / "entry_points.txt").write_text("[assay.workloads]\nsettling = settling_workload:workload\n")
    monkeypatch.syspath_prepend(installed.parent)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ASSAY_STORE", raising=False)
    monkeypatch.setattr(doctor, "CHECKS", (doctor._store,))
    monkeypatch.setattr("os.fsync", lambda file: None)  # what a power cut would leave is not asked here
    sweep = load_sweep("race.yaml")
    undisturbed = assay.run(sweep, Home(tmp_path / "whole"), executor="inline")
    return Study(sweep, tmp_path / "whole" / "store", numbers(undisturbed))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def store(study: Study, home: Path) -> Path:
    """The folder of a store to damage."""
    return study.copy(home)


Said = tuple[int, str]


@pytest.fixture
def command(home: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """`assay ARGS…` in this process: its exit code, and all that it printed."""
    from assay.cli import main

    def call(*args: str) -> Said:
        capfd.readouterr()
        code = main(args)
        out, err = capfd.readouterr()
        return code, out + err

    return call
