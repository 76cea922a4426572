"""The report's pictures: what is drawn, and that nothing is lost at the border."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from assay.planning import Plan
from assay.report.omissions import Omissions
from assay.report.pictures.committed import columns_a_row, draw_pictures
from assay.report.pictures.samples import copy_grids, draw_overview, safe_name
from assay.report.plots.curves import furthest
from assay.results import TrialOutcome, table

Studies = Callable[..., tuple[Plan, list[TrialOutcome]]]


def test_file_names_are_safe() -> None:
    assert safe_name("addition + GroupNorm, guidance_scale 1.0") == "addition-+-GroupNorm-guidance_scale-1.0"
    assert safe_name("../../etc/passwd") == "etc-passwd"
    assert safe_name("日本") == "trial"


def test_grids_are_copied_and_shown_side_by_side(study: Studies, tmp_path: Path) -> None:
    names = ["日本", "é", "a $5 name that is much too long for one line, and has a second part, seed 0"]
    files = [{"grid.png": tmp_path / f"grid{index}.png"} for index in range(3)]
    for index, shape in enumerate([(40, 60), (40, 60, 3), (900, 900, 3)]):  # grey, colour, large
        Image.fromarray(np.full(shape, 80 * index, np.uint8)).save(files[index]["grid.png"])
    plan, trials = study([{"fid": 3.0}, {"fid": 2.0}, {"fid": 1.0}], names, files=files)
    folder = tmp_path / "report"
    folder.mkdir()
    grids = copy_grids(plan, trials, folder, Omissions())
    assert len(set(grids.values())) == 3, "names that a file cannot have do not overwrite each other"
    overview = draw_overview(table(plan, trials), grids, folder)
    assert overview is not None
    with Image.open(overview) as image:
        pixels = np.asarray(image.convert("L"))
    assert pixels.shape[1] > pixels.shape[0]
    for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]):
        assert (edge == 255).all(), "nothing is clipped at the border"


@pytest.mark.slow
def test_every_trial_of_a_figure_is_on_its_sheet(study: Studies, tmp_path: Path) -> None:
    """Figure 6 has 14: two samplers with seven scales each."""
    colors = [(16 * index + 20, 200 - 10 * index, 7) for index in range(14)]
    files = []
    for index, color in enumerate(colors):
        picture = tmp_path / f"{index}.png"
        Image.new("RGB", (8, 64), color).save(picture)
        files.append({"column.png": picture, "grid.png": picture})
    plan, trials = study([{"fid": float(index)} for index in range(14)], files=files)
    hints = replace(plan.trials[0].workload.report, pictures={"column.png": "one noise"}, side_by_side=("column.png",))
    plan.trials[0].workload.report = hints  # type: ignore[misc]
    made = table(plan, trials)
    overview = draw_overview(
        made, {t.planned.name: f["grid.png"] for t, f in zip(trials, files, strict=True)}, tmp_path
    )
    for sheet in (*draw_pictures(plan, trials, made, tmp_path, Omissions()), overview):
        assert sheet is not None
        with Image.open(sheet) as image:
            pixels = image.convert("RGB")
        shown = {color for _, color in pixels.getcolors(pixels.width * pixels.height) or []}
        assert set(colors) <= shown
    assert pixels.width < 2000
    assert [columns_a_row(count) for count in (1, 12, 14, 30)] == [1, 12, 7, 10]


def test_without_grids_there_is_no_overview(study: Studies, tmp_path: Path) -> None:
    plan, trials = study([{"fid": 1.0}])
    assert copy_grids(plan, trials, tmp_path, Omissions()) == {}
    assert draw_overview(table(plan, trials), {}, tmp_path) is None


def test_a_training_that_climbed_rungs_has_one_curve(paper: Callable[..., Any], tmp_path: Path) -> None:
    scheduler = {"name": "fifo", "budget": "train.iterations", "rungs": [250, 500]}
    arms = {"a": {"model.norm": "adagn"}, "b": {"model.norm": "add"}}
    plan, trials = paper(
        lambda planned, rung: {"fid": 1.0} if (planned.trial.arm, rung.amount) != ("b", 500) else None,
        arms=arms,
        scheduler=scheduler,
    )
    results = {key: result for trial in trials for key, result in trial.results.items()}
    assert [(stage.config["model"]["norm"], stage.amount) for stage in furthest(plan, results)] == [
        ("adagn", 500),
        ("add", 250),
    ]


def test_a_sheet_has_those_that_can_be_read(study: Studies, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    Image.new("RGB", (8, 64), (200, 10, 10)).save(good)
    bad.write_bytes(good.read_bytes()[:50])
    plan, trials = study([{"fid": 1.0}] * 6, files=[{"column.png": good}] + [{"column.png": bad}] * 5)
    plan.trials[0].workload.report = replace(plan.trials[0].workload.report, pictures={"column.png": "one noise"})  # type: ignore[misc]
    lacking = Omissions()
    (sheet,) = draw_pictures(plan, trials, table(plan, trials), tmp_path, lacking)
    assert sheet.is_file()
    (note,) = lacking.notes
    assert note.startswith("not drawn: column.png of arm 1, column.png of arm 2, column.png of arm 3 and 2 more: ")


def test_a_user_who_stops_it_is_heard(tmp_path: Path) -> None:
    lacking = Omissions()

    def interrupted() -> Path:
        raise KeyboardInterrupt

    def half_done() -> Path:
        (tmp_path / "half.png").write_bytes(b"half")
        raise ValueError("out of ink\nand more")

    with pytest.raises(KeyboardInterrupt):
        lacking.picture(tmp_path / "plot.png", interrupted)
    assert lacking.notes == ()
    assert lacking.picture(tmp_path / "half.png", half_done) is None
    assert lacking.notes == ("not drawn: half.png: ValueError: out of ink",)
    assert not (tmp_path / "half.png").exists()
