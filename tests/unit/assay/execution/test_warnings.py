"""What stages warn of is told to the user: once a run, however many of them say it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import pytest

import assay
import toy_workload
from assay.errors import AssayWarning
from assay.execution import Event
from assay.home import Home
from assay.sweep import load_sweep
from assay.workload import StageContext

SWEEP = """\
version: 1
name: warned
workload: toy
base: tiny
parameters:
  sample.scale: {values: [0.0, 1.0, 2.0]}
metric: distance
mode: min
"""


class Ears:
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def begin(self, *_: object) -> None: ...

    def end(self, *_: object) -> None: ...

    def event(self, event: Event) -> None:
        if event.kind == "warning":
            self.warnings.append(event.message)


def guess(ctx: StageContext) -> Mapping[str, float]:
    warnings.warn("no compiler here", AssayWarning, stacklevel=1)
    warnings.warn(f"scale {ctx.config['scale']} is odd", AssayWarning, stacklevel=1)
    return {"distance": 1.0, "precision": 0.5, "num_samples": 1}


def test_three_trials_that_warn_of_one_thing_are_one_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toy_workload, "guess", guess)
    file = tmp_path / "warned.yaml"
    file.write_text(SWEEP)
    sweep = load_sweep(file, find_workload=lambda name: toy_workload.Quick())

    def told(folder: str) -> list[str]:
        ears = Ears()
        assert not assay.run(sweep, Home(tmp_path / folder), executor="inline", listeners=[ears]).failed
        return ears.warnings

    scales = [f"guess: scale {scale} is odd" for scale in (0.0, 1.0, 2.0)]
    assert told("one") == ["guess: no compiler here", *scales]
    assert told("two") == told("one again"), "another run says it again"
