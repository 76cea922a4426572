"""A kind of plot that an installed package adds: one file of hers and a line of its metadata."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from assay.errors import SpecError
from assay.planning import Plan, PlannedTrial, Rung
from assay.report import write
from assay.results import TrialOutcome
from assay.sweep import load_sweep
from assay.sweep.plot_kinds import PLOT_KINDS

Filled = tuple[Plan, tuple[TrialOutcome, ...]]
PACKAGE = """\
from assay.sweep.plot_kinds import PlotKind

STAIRS = PlotKind("stairs_of_a_package:draw", x="numbers", log=("y",))


def draw(axes, panel):
    for series in panel.series:
        xs, ys = [panel.axis.at(point.x) for point in series.points], [point.y for point in series.points]
        axes.step(xs, ys, color="#FF00FF", linewidth=6, label=panel.label(series))


def fall(axes, panel):
    assert len(panel.series) > 100, "only for large studies\\nwhich this is not"


def fall_of_trials(figure, picture):
    raise KeyError("step")


FALL = PlotKind("stairs_of_a_package:fall", x="numbers")
FALL_OF_TRIALS = PlotKind("stairs_of_a_package:fall_of_trials", x=None, optional=("y",), of="trials")
"""
SWEEP = """\
version: 1
name: s
workload: paper
base: base
metric: fid
mode: min
parameters:
  sample.guidance_scale: {values: [0.0, 1.0, 10.0]}
arms: {AdaGN: {}, addition: {model.norm: add}}
report:
  plots:
    - PLOT
"""


@pytest.fixture
def stairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package is installed. Another has a kind that does not import."""
    info = tmp_path / "stairs-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stairs\nVersion: 1\n")
    kinds = {"stairs": "STAIRS", "slide": "SLIDE", "fall": "FALL", "trialfall": "FALL_OF_TRIALS"}
    points = "".join(f"{name} = stairs_of_a_package:{constant}\n" for name, constant in kinds.items())
    (info / "entry_points.txt").write_text(f"[{PLOT_KINDS.group}]\n{points}")
    (tmp_path / "stairs_of_a_package.py").write_text(PACKAGE)
    monkeypatch.syspath_prepend(tmp_path)


def quality(planned: PlannedTrial, rung: Rung) -> dict[str, float]:
    return {"fid": 4.0 + planned.trial.config["sample"]["guidance_scale"] / 5, "precision": 0.5, "recall": 0.5}


@pytest.mark.usefixtures("stairs")
def test_a_report_draws_it(paper: Callable[..., Filled], tmp_path: Path) -> None:
    plots: list[dict[str, Any]] = [
        {"kind": kind, "x": "sample.guidance_scale", "y": "fid"} for kind in ("stairs", "line")
    ]
    parameters = {"sample.guidance_scale": {"values": [0.0, 1.0, 10.0]}}
    plan, trials = paper(quality, parameters=parameters, report={"plots": plots})
    written = write(plan, trials, tmp_path / "report", frozenset())
    drawn = {picture.name: int(magenta_pixels(picture)) for picture in written.pictures}
    assert drawn["fid-by-sample.guidance_scale-line.png"] == 0
    assert drawn["fid-by-sample.guidance_scale-stairs.png"] > 1000
    assert not [note for note in written.table.notes if "not drawn" in note]


@pytest.mark.usefixtures("stairs")
def test_one_that_fails_is_noted_and_all_else_is_written(paper: Callable[..., Filled], tmp_path: Path) -> None:
    plots: list[dict[str, Any]] = [
        {"kind": "fall", "x": "sample.guidance_scale", "y": "fid"},
        {"kind": "trialfall"},
        {"kind": "line", "x": "sample.guidance_scale", "y": "fid"},
    ]
    parameters = {"sample.guidance_scale": {"values": [0.0, 1.0, 10.0]}}
    plan, trials = paper(quality, parameters=parameters, report={"plots": plots})
    written = write(plan, trials, tmp_path / "report", frozenset())
    assert [note for note in written.table.notes if note.startswith("not drawn")] == [
        "not drawn: fid-by-sample.guidance_scale-fall.png: AssertionError: only for large studies",
        "not drawn: fid-trialfall.png: KeyError: 'step'",
    ]
    assert [picture.name for picture in written.pictures] == ["fid-by-sample.guidance_scale-line.png"]
    assert "AssertionError: only for large studies" in written.page.read_text()
    assert {"report.json", "table.csv", "table.md"} <= {file.name for file in written.folder.iterdir()}


def magenta_pixels(picture: Path) -> int:
    with Image.open(picture) as image:
        return int((np.asarray(image.convert("RGB")) == (255, 0, 255)).all(axis=2).sum())


@pytest.mark.usefixtures("stairs")
@pytest.mark.parametrize(
    ("plot", "said"),
    [
        ("{kind: stairs, x: sample.guidance_scale, y: fid, log: [y]}", None),
        (
            "{kind: stair, x: seconds, y: fid}",
            "kind: unknown plot kind 'stair'; did you mean 'stairs'? allowed: bar, line, scatter, ",
        ),
        ("{kind: slide, x: seconds, y: fid}", "kind: the plot kind 'slide' (stairs_of_a_package:SLIDE) cannot be imp"),
        (
            "{kind: stairs, x: seconds, y: fid, log: [y, x]}",
            "log: got x, which cannot be logarithmic in a stairs plot; allowed: y",
        ),
        (
            "{kind: stairs, x: model.norm, y: fid}",
            "x: got 'model.norm', which has values that are not numbers; a stairs plot takes only numbers",
        ),
        (
            "{kind: stairs, x: arm, y: fid}",
            "x: got 'arm', which has values that are not numbers; a stairs plot takes only numbers",
        ),
        ("{kind: bar, x: arm, y: fid, log: [x]}", "log: got x, which cannot be logarithmic in a bar plot; allowed: y"),
    ],
)
def test_a_sweep_that_asks_for_it_is_checked_when_it_is_loaded(
    paper: Callable[..., Filled], tmp_path: Path, plot: str, said: str | None
) -> None:
    workload = paper(quality)[0].trials[0].workload
    file = tmp_path / "x.yaml"
    file.write_text(SWEEP.replace("PLOT", plot))
    if said is None:
        assert load_sweep(file, find_workload=lambda name: workload).report.plots[0].kind == "stairs"
        return
    with pytest.raises(SpecError) as caught:
        load_sweep(file, find_workload=lambda name: workload)
    assert len(caught.value.problems) == 1
    assert str(caught.value).startswith(f"{file}:12: report.plots[0].{said}")
