"""Plots of the ranked trials: which trials and settings they show, what explains a metric, and what is told instead."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from assay.errors import SpecError
from assay.planning import Plan, PlannedTrial, Rung
from assay.report import write
from assay.report.figures import new_figure
from assay.report.plots.importance import importance
from assay.report.plots.parallel import draw_parallel
from assay.report.plots.trials import NotDrawn, Picture, Setting, ranked_trials
from assay.results import TrialOutcome
from assay.sweep import load_sweep
from assay.workload import JSON

Filled = tuple[Plan, tuple[TrialOutcome, ...]]
NORMS = {"AdaGN": {"model.norm": "adagn"}, "addition": {"model.norm": "add"}}
SCALES = {"sample.guidance_scale": {"values": [0.0, 1.0, 2.0, 10.0]}}
FIFTHS = {"sample.guidance_scale": {"partition": {"total": 12, "parts": 3, "step": 2, "min": 2}}}
DRAWS = {"sample.guidance_scale": {"min": 0.01, "max": 10.0, "log": True}}


def quality(planned: PlannedTrial, rung: Rung) -> Mapping[str, float]:
    config = planned.trial.config
    scale = config["sample"]["guidance_scale"]
    offset = math.log10(scale + 0.01) if isinstance(scale, float) else sum(scale)
    fid = {"adagn": 4.0, "add": 6.0}[config["model"]["norm"]] + offset / 4
    return {"fid": fid, "recall": 0.6 - offset / 100, "num_samples": config["evaluate"]["num_samples"]}


def names_of(settings: list[Setting]) -> list[str]:
    return [setting.name for setting in settings]


def test_the_settings_of_trials_are_what_they_differ_in(paper: Callable[..., Filled]) -> None:
    shown = ranked_trials(*paper(quality, arms=NORMS, parameters=SCALES, seeds=[0, 1]), ["fid"])
    settings = {setting.name: setting for setting in shown.settings()}
    assert sorted(settings) == ["model.norm", "sample.guidance_scale", "seed"]
    assert settings["sample.guidance_scale"].levels == [0.0, 1.0, 2.0, 10.0]
    assert settings["sample.guidance_scale"].is_numeric
    assert not settings["seed"].is_numeric, "a seed has no size"
    assert shown.metrics["fid"] == sorted(shown.metrics["fid"]), "best first"


def test_names_are_in_the_order_of_the_sweep_whatever_is_best(paper: Callable[..., Filled]) -> None:
    arms = {"addition": {"model.norm": "add"}, "AdaGN": {"model.norm": "adagn"}}
    shown = ranked_trials(*paper(quality, arms=arms, parameters=SCALES), ["fid"])
    assert shown.arms[0] == "AdaGN"
    assert shown.setting("arm").levels == ["addition", "AdaGN"]
    assert shown.setting("model.norm").levels == ["add", "adagn"]


def test_paths_that_arms_change_together_are_the_arm(paper: Callable[..., Filled]) -> None:
    arms = {
        "both": {"model.norm": "adagn", "train.iterations": 200},
        "neither": {"model.norm": "add", "train.iterations": 100},
    }
    shown = ranked_trials(*paper(quality, arms=arms, parameters=SCALES), ["fid"])
    assert names_of(shown.settings()) == ["sample.guidance_scale", "arm"]
    assert set(shown.setting("arm").levels) == {"both", "neither"}


def test_the_parts_of_a_partition_are_numbers_each(paper: Callable[..., Filled]) -> None:
    shown = ranked_trials(*paper(quality, parameters=FIFTHS), ["fid"])
    parts = shown.settings()
    assert names_of(parts) == [f"sample.guidance_scale[{number}]" for number in range(3)]
    assert all(setting.is_numeric for setting in parts)
    assert [sum(values) for values in zip(*(part.values for part in parts), strict=True)] == [12] * len(shown.names)


def test_trials_that_are_not_ranked_do_not_count(paper: Callable[..., Filled]) -> None:
    arms = {"small": {"evaluate.num_samples": 5}, **NORMS}
    shown = ranked_trials(*paper(quality, arms=arms, parameters=SCALES), ["fid"])
    assert len(shown.names) == 8
    assert not [name for name in shown.names if name.startswith("small")]


def test_a_race_is_shown_at_the_rung_that_most_reached(paper: Callable[..., Filled]) -> None:
    def measure(planned: PlannedTrial, rung: Rung) -> Mapping[str, float] | None:
        is_best = planned.trial.config["sample"]["guidance_scale"] == 0.0
        fid = quality(planned, rung)["fid"] + (10 if rung.amount == 100 else 0)
        return {"fid": fid, "num_samples": rung.amount or 0} if is_best or rung.amount == 100 else None

    rungs = {"name": "halving", "budget": "evaluate.num_samples", "rungs": [100, 200], "divisor": 2}
    shown = ranked_trials(*paper(measure, arms=NORMS, parameters=SCALES, scheduler=rungs), ["fid"])
    assert len(shown.names) == 8
    assert min(shown.metrics["fid"]) > 10, "those of the first rung"
    assert shown.at == " at evaluate.num_samples 100"


def test_importance_is_the_share_of_an_additive_function_that_each_setting_explains() -> None:
    levels = list(product(range(5), ["a", "b"], range(3)))
    values = [2.0 * number + {"a": 0.0, "b": 4.0}[letter] for number, letter, _ in levels]
    settings = [Setting(name, [level[i] for level in levels]) for i, name in enumerate(("number", "letter", "nothing"))]
    shares = importance(settings, values)
    # variances of 0, 2, 4, 6, 8 and of 0, 4
    assert shares == pytest.approx({"number": 8 / 12, "letter": 4 / 12, "nothing": 0.0}, abs=0.05)
    assert list(shares) == ["number", "letter", "nothing"]
    assert shares == importance(settings, values), "the same trials, the same picture"


def test_importance_weighs_a_range_by_its_logarithm_if_it_is_declared_so() -> None:
    exponents = [-4 + 4 * step / 31 for step in range(32)]
    values = [max(0.0, exponent + 2) for exponent in exponents]  # flat in the lower half of the logarithms
    other = [value for _, value in zip(exponents, [0.0, 1.0] * 16, strict=True)]
    numbers: list[Any] = [10**exponent for exponent in exponents]
    settings = [Setting("rate", numbers, (1e-4, 1.0), is_log=True), Setting("other", other)]
    assert importance(settings, values)["rate"] > 0.9


def test_what_an_arm_sets_may_lack_the_parts_of_a_partition(paper: Callable[..., Filled]) -> None:
    arms = {"A": {}, "B": {"sample.guidance_scale": 25.0}, "C": {"sample.guidance_scale": [6, 4]}}
    fifths = {"sample.guidance_scale": {**FIFTHS["sample.guidance_scale"], "when": {"arm": "A"}}}
    shown = ranked_trials(*paper(quality, arms=arms, parameters=fifths), ["fid"])
    parts: dict[str, list[list[Any]]] = {arm: [] for arm in arms}
    for number, arm in enumerate(shown.arms):
        parts[arm].append([setting.values[number] for setting in shown.settings(["sample.guidance_scale"])])
    assert parts["B"] == [[None, None, None]]
    assert parts["C"] == [[6, 4, None]]
    assert {sum(each) for each in parts["A"]} == {12}
    assert shown.setting("sample.guidance_scale[2]").levels == [None, 2, 4, 6, 8]


def test_importance_takes_numbers_of_arms_outside_of_a_range() -> None:
    numbers: list[Any] = [0.01, 0.1, 1.0, 10.0, 25.0] * 8
    other = [number // 5 % 2 for number in range(40)]
    values = [math.log(number) for number in numbers]
    for is_log in (True, False):
        wide = [Setting("a", numbers, (0.01, 10.0), is_log=is_log), Setting("b", other)]
        told = [Setting("a", numbers, (0.01, 25.0), is_log=is_log), Setting("b", other)]
        assert importance(wide, values) == importance(told, values)
        assert importance(wide, values)["a"] > 0.9


def test_importance_counts_the_values_of_a_logarithmic_range_if_an_arm_has_zero() -> None:
    numbers: list[Any] = [0.0, 0.1, 1.0, 10.0] * 8
    other = [number // 4 % 2 for number in range(32)]
    values = [
        {0.0: 0.0, 0.1: 2.0, 1.0: 4.0, 10.0: 6.0}[number] + 2 * b for number, b in zip(numbers, other, strict=True)
    ]
    shares = importance([Setting("a", numbers, (0.1, 10.0), is_log=True), Setting("b", other)], values)
    assert shares == pytest.approx({"a": 5 / 6, "b": 1 / 6}, abs=0.05)  # variances of 0, 2, 4, 6 and of 0, 2


@pytest.mark.slow
@pytest.mark.parametrize("value", [25.0, 0.0, [6, 4]])
@pytest.mark.parametrize("parameter", [*FIFTHS.values(), {**DRAWS["sample.guidance_scale"], "num": 4}])
def test_a_report_has_every_plot_where_an_arm_sets_what_a_parameter_cannot_be(
    paper: Callable[..., Filled], tmp_path: Path, parameter: dict[str, Any], value: JSON
) -> None:
    arms = {"A": {}, "B": {"sample.guidance_scale": value}}
    only_a = {"sample.guidance_scale": {**parameter, "when": {"arm": "A"}}}
    plots = [{"kind": kind} for kind in ("importance", "slice", "parallel")]
    plan, trials = paper(quality, arms=arms, parameters=only_a, report={"plots": plots})
    written = write(plan, trials, tmp_path / "report", frozenset())
    assert not [note for note in written.table.notes if "not drawn" in note or "not plotted" in note]
    assert len(written.pictures) == len(plots)
    assert (written.folder / "interactive.html").is_file()


def test_importance_says_why_there_is_none() -> None:
    one = [Setting("a", [1, 2, 3])]
    with pytest.raises(NotDrawn, match="at least 4 trials that are ranked together, and there are 3"):
        importance(one, [1.0, 2.0, 3.0])
    with pytest.raises(NotDrawn, match="the metric is the same in all trials"):
        importance([Setting("a", [1, 2, 3, 4])], [1.0] * 4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("plot", "file"),
    [
        ({"kind": "importance"}, "fid-importance.png"),
        ({"kind": "importance", "y": ["fid", "recall"]}, "fid-recall-importance.png"),
        ({"kind": "slice", "log": ["y"]}, "fid-slice.png"),
        ({"kind": "slice", "x": ["arm", "seed"], "y": "recall"}, "recall-by-arm-seed-slice.png"),
        ({"kind": "contour", "x": "sample.guidance_scale", "y": "train.iterations"}, None),
        ({"kind": "contour", "x": "sample.guidance_scale", "y": "train.iterations", "log": ["x", "y"]}, None),
        ({"kind": "contour", "x": "sample.guidance_scale", "y": "arm", "z": ["fid", "recall"]}, None),
        ({"kind": "contour", "x": "arm", "y": "model.norm"}, "fid-by-arm-model.norm-contour.png"),
        ({"kind": "parallel"}, "fid-parallel.png"),
        ({"kind": "parallel", "x": ["arm", "seed"], "y": ["recall", "fid"], "log": ["x", "y"]}, None),
    ],
)
@pytest.mark.parametrize("parameters", [SCALES, DRAWS])
def test_each_kind_draws(
    paper: Callable[..., Filled],
    tmp_path: Path,
    parameters: dict[str, Any],
    plot: dict[str, Any],
    file: str | None,
) -> None:
    searcher = {"name": "random", "num_trials": 6} if parameters is DRAWS else {}
    keys = {"parameters": {**parameters, "train.iterations": {"values": [100, 200]}}, "searcher": searcher}
    plan, trials = paper(quality, arms=NORMS, seeds=[0, 1], report={"plots": [plot]}, **keys)
    written = write(plan, trials, tmp_path / "report", frozenset())
    assert not [note for note in written.table.notes if "not drawn" in note or "not plotted" in note]
    (picture,) = written.pictures
    assert file in (None, picture.name)
    with Image.open(picture) as image:
        assert len(set(image.convert("L").resize((64, 64)).tobytes())) > 4


def test_lines_of_parallel_coordinates_meet_each_axis_where_the_trial_is(paper: Callable[..., Filled]) -> None:
    scales = {"sample.guidance_scale": {"values": [0.0, 1.0, 2.0, 10.0]}}
    plot = {"kind": "parallel", "y": ["fid", "recall"]}
    plan, trials = paper(quality, arms=NORMS, parameters=scales, report={"plots": [plot]})
    shown = ranked_trials(plan, trials, ["fid", "recall"])
    figure = new_figure(6, 4, 100)
    draw_parallel(figure, Picture(plan.sweep.report.plots[0], shown, ["fid", "recall"], "fid", "min"))
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == [
        "model.\nnorm",
        "sample.\nguidance_scale",
        "fid",
        "recall",
    ]
    lines = [[place for _, place in line] for line in axes.collections[0].get_segments()][::-1]
    assert len(lines) == 8
    best, worst = lines[0], lines[-1]
    assert best == pytest.approx([0.0, 0.0, 0.0, 1.0]), "AdaGN, scale 0, the smallest FID, the largest recall"
    assert worst == pytest.approx([1.0, 1.0, 1.0, 0.0])
    assert {line[1] for line in lines} == {0.0, 0.1, 0.2, 1.0}, "numbers are at their size"


@pytest.mark.slow
def test_what_cannot_be_drawn_is_told(paper: Callable[..., Filled], tmp_path: Path) -> None:
    plots = [
        {"kind": "importance"},
        {"kind": "slice", "x": "train.iterations"},
        {"kind": "contour", "x": "arm", "y": "seed"},
        {"kind": "slice", "y": "precision"},
    ]
    plan, trials = paper(quality, arms=NORMS, report={"plots": plots})
    written = write(plan, trials, tmp_path / "report", frozenset())
    assert written.pictures == ()
    assert [note for note in written.table.notes if note.startswith("not plotted")] == [
        "not plotted: importance of settings for fid: it needs at least 4 trials that are ranked together, and there "
        "are 2",
        "not plotted: fid by train.iterations: these trials do not differ in train.iterations",
        "not plotted: fid by arm and seed: seed is the same in all trials",
        "not plotted: precision by setting: no ranked trial has precision",
    ]


@pytest.mark.slow
def test_three_trials_on_a_line_are_points_without_contours(paper: Callable[..., Filled], tmp_path: Path) -> None:
    arms = {str(n): {"sample.guidance_scale": float(n), "train.iterations": 100 * n} for n in (1, 2, 3, 4)}
    plot = {"kind": "contour", "x": "sample.guidance_scale", "y": "train.iterations"}
    plan, trials = paper(quality, arms=arms, report={"plots": [plot]})
    written = write(plan, trials, tmp_path / "report", frozenset())
    assert len(written.pictures) == 1
    assert not [note for note in written.table.notes if "not drawn" in note]


@pytest.mark.parametrize(
    ("plot", "said"),
    [
        ("{kind: importance}", None),
        ("{kind: slice, x: ['sample.guidance_scale[2]', arm]}", None),
        ("{kind: contour, x: 'sample.guidance_scale[0]', y: 'sample.guidance_scale[1]', z: recall}", None),
        ("{kind: importance, y: fd}", "y: no trial reports 'fd'; did you mean 'fid'?"),
        ("{kind: contour, x: arm, y: seed, z: [fid, fd]}", "z[1]: no trial reports 'fd'; did you mean 'fid'?"),
        ("{kind: slice, x: sample.guidance}", "x: no trial has 'sample.guidance'; did you mean 'sample.guidance_"),
        ("{kind: slice, x: [arm, zzz]}", "x[1]: no trial has 'zzz'; allowed: arm, or a config path"),
        ("{kind: slice, x: 'sample.guidance_scale[3]'}", "x: no trial has 'sample.guidance_scale[3]'"),
        ("{kind: slice, x: fid}", "x: no trial has 'fid'"),
    ],
)
def test_a_sweep_that_asks_for_them_is_checked(
    paper: Callable[..., Filled], tmp_path: Path, plot: str, said: str | None
) -> None:
    workload = paper(quality)[0].trials[0].workload
    file = tmp_path / "x.yaml"
    file.write_text(
        "version: 1\nname: s\nworkload: paper\nbase: base\nmetric: fid\nmode: min\nparameters:\n"
        "  sample.guidance_scale: {partition: {total: 12, parts: 3, step: 2, min: 2}}\n"
        f"report:\n  plots:\n    - {plot}\n"
    )
    if said is None:
        assert load_sweep(file, find_workload=lambda name: workload).report.plots
        return
    with pytest.raises(SpecError) as caught:
        load_sweep(file, find_workload=lambda name: workload)
    assert len(caught.value.problems) == 1
    assert str(caught.value).startswith(f"{file}:11: report.plots[0].{said}")
