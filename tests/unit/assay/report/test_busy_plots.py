"""Plots of much, and of long names: they can be read, and are no larger than a screen or a few."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from assay.planning import Plan, PlannedTrial, Rung
from assay.report import Written, write
from assay.report.figures import shortened
from assay.results import TrialOutcome

pytestmark = pytest.mark.slow

Filled = tuple[Plan, tuple[TrialOutcome, ...]]
MOST_PIXELS = 6_500
LONG = "an arm that somebody describes at length, "


def quality(planned: PlannedTrial, rung: Rung) -> Mapping[str, float]:
    place = planned.trial.index * 37 % 101
    return {"fid": 4 + place / 100, "precision": 0.5 + place / 500, "recall": 0.5 - place / 500, "num_samples": 50_000}


def grid(planned: PlannedTrial, rung: Rung, output: Path) -> None:
    Image.new("RGB", (24, 24), (planned.trial.index, 90, 120)).save(output / "samples.png")


def written(made: Filled, folder: Path) -> Written:
    report = write(*made, folder, frozenset())
    assert not [note for note in report.table.notes if note.startswith("not drawn")]
    for picture in report.pictures:
        with Image.open(picture) as image:
            pixels = np.asarray(image.convert("L"))
        assert max(pixels.shape) < MOST_PIXELS
        for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]):
            assert (edge == 255).all(), "nothing is clipped at the border"
    return report


def test_long_lists_lie_on_their_side(paper: Callable[..., Filled], tmp_path: Path) -> None:
    steps = [[50] * 5, [90, 60, 60, 20, 20]] * 4
    values = [[*schedule, index] for index, schedule in enumerate(steps)]
    plots = [{"kind": "bar", "x": "sample.steps", "y": "fid"}]
    plan, trials = paper(quality, parameters={"sample.steps": {"values": values}}, report={"plots": plots})
    (picture,) = write(plan, trials, tmp_path / "report", frozenset()).pictures
    with Image.open(picture) as image:
        width, height = image.size
    assert 0.5 < height / width < 1


def test_of_many_arms_the_best_stand_out(paper: Callable[..., Filled], tmp_path: Path) -> None:
    """A race over many schedules: lines for a few, bars for some, and never a picture of metres."""
    values = [[i, 100 - i] for i in range(60)]
    plots = [
        {"kind": "line", "x": "evaluate.num_samples", "y": "fid"},
        {"kind": "bar", "x": "sample.steps", "y": "fid"},
    ]
    scheduler = {"name": "asha", "budget": "evaluate.num_samples", "rungs": [100, 1000]}

    def race(planned: PlannedTrial, rung: Rung) -> Mapping[str, float] | None:
        assert rung.amount is not None
        is_out = rung.amount == 1000 and planned.trial.index % 5
        return None if is_out else {"fid": planned.trial.index + 100 / rung.amount, "num_samples": rung.amount}

    parameters = {"sample.steps": {"values": values}}
    plan, trials = paper(race, parameters=parameters, scheduler=scheduler, report={"plots": plots})
    written = write(plan, trials, tmp_path / "report", frozenset())
    assert "plotted of fid by sample.steps: the best 40 of 60 trials" in written.table.notes
    for picture in written.pictures:
        with Image.open(picture) as image:
            assert max(image.size) < 3000


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_of_many_bars_the_best_are_shown(paper: Callable[..., Filled], tmp_path: Path, seeds: tuple[int, ...]) -> None:
    arms = {f"arm {number}": {"model.norm": f"norm {number}"} for number in range(9)}
    parameters = {"sample.guidance_scale": {"values": list(range(20))}}
    plots = [{"kind": "bar", "x": "sample.guidance_scale", "y": ["fid", "precision", "recall"]}]
    made = paper(quality, arms=arms, parameters=parameters, seeds=seeds, report={"plots": plots})
    report = written(made, tmp_path / "report")
    noun = "trials" if len(seeds) == 1 else "arms"
    for metric in ("fid", "precision", "recall"):
        note = f"plotted of {metric} by sample.guidance_scale: the best 40 of 180 {noun}"
        assert note in report.table.notes, "of the best arms all seeds are shown, and not the lucky ones"


def test_many_panels_are_no_picture_of_metres(paper: Callable[..., Filled], tmp_path: Path) -> None:
    metrics = [f"a_metric_with_a_long_name_{number}" for number in range(12)]
    values = [[index, 100 - index, 50] for index in range(40)]
    made = paper(
        lambda planned, rung: {"fid": 1.0} | dict.fromkeys(metrics, 1.0 + planned.trial.index),
        parameters={"sample.steps": {"values": values}},
        report={"plots": [{"kind": "bar", "x": "sample.steps", "y": metrics}]},
    )
    written(made, tmp_path / "report")


@pytest.mark.parametrize("long", [LONG * 8, "A" * 300, "$" * 300])
def test_long_names_are_shortened(paper: Callable[..., Filled], tmp_path: Path, long: str) -> None:
    arms = {long + "1": {}, long + "2": {"model.norm": "add"}, long + "x" + long: {"model.norm": "x"}, "short": {}}
    scale = "sample.guidance_scale"
    plots: list[dict[str, Any]] = [
        {"kind": "line", "x": scale, "y": ["fid", "precision"]},
        {"kind": "line", "x": "arm", "y": "fid"},
        {"kind": "bar", "x": "arm", "y": ["fid", "recall"]},
        {"kind": "bar", "x": scale, "y": "fid"},
    ]
    rows = [{"when": {scale: 0.0}, "fid": 4.2}]
    parameters = {scale: {"values": [0.0, 1.0]}}
    made = paper(
        quality, grid, arms=arms, parameters=parameters, seeds=(0, 1), report={"plots": plots}, reference={"rows": rows}
    )
    assert len(written(made, tmp_path / "report").pictures) == 1 + len(plots)


def test_shortened_labels_are_told_from_each_other() -> None:
    long = "x" * 100
    labels = [f"{long}1", "AdaGN", f"{long}2", f"{long}-{long}2", f"{long}-{long}", "AdaGN"]
    short = shortened(labels)
    assert list(short) == list(dict.fromkeys(labels)), "in their order"
    assert len(set(short.values())) == len(short)
    assert max(map(len, short.values())) <= 60
    assert short["AdaGN"] == "AdaGN"
    assert short[f"{long}1"] == "x" * 39 + "…" + "x" * 19 + "1"
