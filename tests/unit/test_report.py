"""The table of a sweep, from made-up results: ranks, states, the paper's numbers, notes, and every format."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from assay.errors import StageFailed
from assay.planning import Plan, PlannedTrial, Rung
from assay.report import Standing, as_csv, as_json, as_markdown, as_text, table
from assay.report.labels import name_parts, serves
from assay.report.samples import copy_grids, draw_overview, safe_name
from assay.report.words import decimals
from assay.spec import Sweep, Trial
from assay.workload import ReportHints, Stage

REFERENCE = {
    "source": "table 3",
    "rows": [
        {"when": {}, "fid": 99.0},
        {"when": {"norm": "adagn"}, "fid": 13.06},
        {"when": {"norm": "adagn", "steps": [50, 50]}, "fid": 12.0, "precision": 0.7},
        {"when": {"scale": 1.0}, "fid": 11.0},
    ],
}


def study(
    metrics: Sequence[Mapping[str, float] | None],
    names: Sequence[str] | None = None,
    configs: Sequence[Mapping[str, Any]] | None = None,
    seeds: Sequence[int] = (0,),
    **keys: Any,
) -> tuple[Plan, list[Standing]]:
    """One trial per entry of `metrics`: its leaf's, or None when it was not computed. All share one training."""
    train = Stage("train", 1, "train", ("m:f",), {})
    trials, standings = [], []
    for index, values in enumerate(metrics):
        name = names[index] if names else f"arm {index}"
        leaf = Stage("evaluate", 1, "reduce", ("m:f",), {"index": index}, {"model": train})
        config = configs[index] if configs else {}
        trial = Trial(index, name, name, {}, config, seeds[index % len(seeds)], {})
        trials.append(PlannedTrial(trial, (Rung(None, (train, leaf)),)))
        results: dict[str, Any] = {train.key: result({}, 100.0)}
        if values is not None:
            results[leaf.key] = result(values, 5.0)
        standings.append(Standing(trials[-1], results))
    settings = {"version": 1, "name": "s", "workload": "w", "base": "b", "metric": "fid", "mode": "min", "seeds": seeds}
    sweep = Sweep.model_validate(settings | keys)
    workload: Any = SimpleNamespace(report=ReportHints(("fid", "precision", "recall"), sample_grid="grid.png"))
    return Plan(sweep, workload, tuple(trials)), standings


def result(metrics: Mapping[str, float], seconds: float, files: Mapping[str, Path] | None = None) -> Any:
    found = files or {}
    return SimpleNamespace(
        metrics=metrics, cost=SimpleNamespace(seconds=seconds), files=found, file=found.get, history=[]
    )


def test_arms_are_ranked_by_the_metric_and_the_rest_comes_last() -> None:
    plan, trials = study([{"fid": 9.0}, {"fid": math.nan}, None, {"fid": 3.0}, {"fid": 5.0}])
    leaf = trials[4].planned.leaf
    trials[4] = Standing(trials[4].planned, {}, error=StageFailed("evaluate", leaf.key, "Trace\nValueError: no"))
    made = table(plan, trials, {leaf.key: Path("errors/evaluate.log")})
    assert [(row.trial, row.rank) for row in made.rows] == [
        ("arm 3", 1),
        ("arm 0", 2),
        ("arm 1", None),
        ("arm 2", None),
        ("arm 4", None),
    ]
    assert [row.status for row in made.rows] == [
        "cached",
        "cached",
        "cached",
        "not finished: 1 of 2 stages",
        "failed: evaluate",
    ]
    text = as_text(made)
    assert "arm 4: stage evaluate failed: ValueError: no (full log: errors/evaluate.log)" in text
    assert "nan" in text


def test_larger_may_be_better() -> None:
    plan, trials = study([{"precision": 0.1}, {"precision": 0.9}], metric="precision", mode="max")
    made = table(plan, trials)
    assert made.rows[0].trial == "arm 1"
    assert "larger is better" in as_text(made)


def test_only_columns_that_some_trial_has() -> None:
    plan, trials = study([{"fid": 1.0, "recall": 0.5, "secret": 3.0}])
    made = table(plan, trials)
    assert made.metrics == ("fid", "recall")
    assert as_json(made)["trials"][0]["metrics"]["secret"] == 3.0


def test_what_this_run_computed_is_named() -> None:
    plan, trials = study([{"fid": 1.0}, {"fid": 2.0}])
    stages = trials[0].planned.stages
    partly = Standing(trials[0].planned, trials[0].results, frozenset({stages[1].key}))
    fully = Standing(trials[1].planned, trials[1].results, frozenset(s.key for s in trials[1].planned.stages))
    assert [row.status for row in table(plan, [partly, fully]).rows] == ["computed: evaluate", "computed"]


def test_the_papers_number_stands_beside_the_arm_it_is_about() -> None:
    configs = [
        {"norm": "adagn", "steps": [50, 50], "scale": 0.0},
        {"norm": "adagn", "steps": [90, 10], "scale": 0.0},
        {"norm": "add", "steps": [50, 50], "scale": 1},
        {"norm": "add", "steps": [50, 50], "scale": None},
    ]
    plan, trials = study([{"fid": float(i)} for i in range(4)], configs=configs, reference=REFERENCE)
    made = table(plan, trials)
    assert [dict(row.reference) for row in made.rows] == [
        {"fid": 12.0, "precision": 0.7},  # of several that hold, the one that asks for most
        {"fid": 13.06},
        {"fid": 11.0},  # 1 is 1.0
        {"fid": 99.0},
    ]
    header = as_csv(made).splitlines()[0]
    assert header == "rank,trial,fid,paper's fid (table 3),paper's precision (table 3),N,compute,state"


def test_one_seed_is_no_finding_and_several_are_summed_up() -> None:
    plan, trials = study([{"fid": 1.0}, {"fid": 2.0}])
    assert table(plan, trials).notes[0].startswith("one seed: ")
    names = ["a, seed 0", "a, seed 1", "b, seed 0", "b, seed 1"]
    plan, trials = study([{"fid": v} for v in (1.0, 3.0, 5.0, 5.0)], names, seeds=(0, 1))
    (note, _) = table(plan, trials).notes
    assert note == "fid, mean ± standard deviation over seeds: a 2.000 ± 1.414; b 5.000 ± 0.000"
    plan, trials = study([{"fid": 1.0}])
    assert not table(plan, trials).notes, "one arm is compared with nothing"


def test_shared_stages_are_summed_up_once() -> None:
    plan, trials = study([{"fid": 1.0}, {"fid": 2.0}])
    made = table(plan, trials)
    assert [row.seconds for row in made.rows] == [105.0, 105.0]
    assert "each once, they took 1:50" in made.notes[-1]


def test_the_table_fits_80_columns_and_loses_nothing() -> None:
    names = ["addition + GroupNorm, guidance_scale 1.0", "AdaGN, guidance_scale 0.0"]
    values = {"fid": 12.3456, "precision": 0.69, "recall": 0.63, "num_samples": 50_000.0}
    plan, trials = study([values, values], names, configs=[{"norm": "adagn"}] * 2, reference=REFERENCE)
    text = as_text(table(plan, trials), width=80)
    assert max(len(line) for line in text.splitlines()) <= 80
    for shown in ("12.35", "0.6900", "0.6300", "50,000", "13.06", "cached", "best"):
        assert shown in text


def test_json_has_no_nan_and_markdown_keeps_its_cells() -> None:
    plan, trials = study([{"fid": math.nan}, {"fid": 1.0}], names=["a|b", "c"])
    made = table(plan, trials)
    assert json.loads(json.dumps(as_json(made), allow_nan=False))["trials"][1]["metrics"]["fid"] is None
    assert "a\\|b" in as_markdown(made)


@pytest.mark.parametrize(
    ("values", "places"),
    [([13.06, 2.3], 2), ([0.4167], 4), ([250.0], 1), ([5000.0], 1), ([0.0], 3), ([1e-9], 8), ([math.nan], 3)],
)
def test_decimals(values: list[float], places: int) -> None:
    assert decimals(values) == places


def test_a_shared_stage_is_called_what_its_trials_have_in_common() -> None:
    names = ["A, steps [50, 25], scale 0.0", "A, steps [50, 10], scale 0.0", "B, steps [50, 25], scale 0.0"]
    assert name_parts(names[0]) == ["A", "steps [50, 25]", "scale 0.0"]
    plan, _ = study([None] * 3, names)
    train = plan.trials[0].stages[0]
    assert serves(plan, train.key) == "all 3 trials"
    assert serves(plan, plan.trials[1].leaf.key) == names[1]


def test_file_names_are_safe() -> None:
    assert safe_name("addition + GroupNorm, guidance_scale 1.0") == "addition-+-GroupNorm-guidance_scale-1.0"
    assert safe_name("../../etc/passwd") == "etc-passwd"
    assert safe_name("日本") == "trial"


def test_grids_are_copied_and_shown_side_by_side(tmp_path: Path) -> None:
    names = ["日本", "é", "a $5 name that is much too long for one line, and has a second part, seed 0"]
    plan, trials = study([{"fid": 3.0}, {"fid": 2.0}, {"fid": 1.0}], names)
    for index, trial in enumerate(trials):
        grid = tmp_path / f"grid{index}.png"
        shape = [(40, 60), (40, 60, 3), (900, 900, 3)][index]  # grey, colour, large
        Image.fromarray(np.full(shape, 80 * index, np.uint8)).save(grid)
        results = {**trial.results, trial.planned.leaf.key: result({"fid": 3.0 - index}, 5.0, {"grid.png": grid})}
        trials[index] = Standing(trial.planned, results)
    folder = tmp_path / "report"
    folder.mkdir()
    grids = copy_grids(plan, trials, folder)
    assert len(set(grids.values())) == 3, "names that a file cannot have do not overwrite each other"
    overview = draw_overview(table(plan, trials), grids, folder)
    assert overview is not None
    with Image.open(overview) as image:
        pixels = np.asarray(image.convert("L"))
    assert pixels.shape[1] > pixels.shape[0]
    for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]):
        assert (edge == 255).all(), "nothing is clipped at the border"


def test_without_grids_there_is_no_overview(tmp_path: Path) -> None:
    plan, trials = study([{"fid": 1.0}])
    assert copy_grids(plan, trials, tmp_path) == {}
    assert draw_overview(table(plan, trials), {}, tmp_path) is None
