"""What a plot shows: which points, which lines, the paper's numbers, and that it can be drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from assay.planning import Plan, PlannedTrial, Rung
from assay.report import write
from assay.report.plots.axes import Axis
from assay.report.plots.panels import error_bars_are
from assay.report.plots.series import Point, Series, series_of
from assay.results import TrialOutcome, table
from assay.sweep import Plot

pytestmark = pytest.mark.slow

Filled = tuple[Plan, tuple[TrialOutcome, ...]]
SCALES = [0.0, 1.0, 10.0]
NONE: frozenset[str] = frozenset()
KINDS = {"line": ["x"], "bar": [], "scatter": ["x"]}
"""Each with the logarithm it may have along x."""


def quality(planned: PlannedTrial, rung: Rung) -> Mapping[str, float]:
    config = planned.trial.config
    scale, norm, seed = config["sample"]["guidance_scale"], config["model"]["norm"], config["seed"]
    fid = {"adagn": 4.0, "add": 6.0}[norm] + abs(scale - 1) / 10 + seed
    return {"fid": fid, "precision": 0.6 + scale / 100, "recall": 0.6 - scale / 100, "num_samples": 50_000}


@pytest.fixture
def guidance(paper: Callable[..., Filled]) -> Callable[..., Filled]:
    def make(**keys: Any) -> Filled:
        arms = {"AdaGN": {"model.norm": "adagn"}, "addition": {"model.norm": "add"}}
        reference = {
            "source": "figure 6",
            "rows": [
                {"when": {"model.norm": "adagn", "sample.guidance_scale": scale}, "fid": 4.5 + scale, "recall": 0.5}
                for scale in (1, 4)
            ],
        }
        parameters = {"sample.guidance_scale": {"values": SCALES}}
        return paper(quality, **{"arms": arms, "parameters": parameters, "reference": reference} | keys)

    return make


def test_a_line_an_arm_with_the_papers_points_beside_it(guidance: Callable[..., Filled]) -> None:
    plan, trials = guidance()
    ours, other = series_of(plan, "sample.guidance_scale", "fid", trials, NONE)
    assert (ours.label, other.label) == ("AdaGN", "addition")
    assert [(p.x, p.y) for p in ours.points] == [(0.0, 4.1), (1.0, 4.0), (10.0, 4.9)]
    assert [(p.x, p.y) for p in ours.paper] == [(1.0, 5.5), (4, 8.5)], "also where this sweep has no point"
    assert other.paper == []
    assert [s.paper for s in series_of(plan, "sample.guidance_scale", "precision", trials, NONE)] == [[], []]


def test_seeds_become_a_mean_with_its_spread(guidance: Callable[..., Filled]) -> None:
    plan, trials = guidance(seeds=(0, 1, 2), arms={})
    (ours,) = series_of(plan, "sample.guidance_scale", "fid", trials, NONE)
    assert [(p.x, round(p.y, 6), p.error) for p in ours.points] == [(0.0, 5.1, 1.0), (1.0, 5.0, 1.0), (10.0, 5.9, 1.0)]


def test_one_metric_by_another_follows_the_parameter(guidance: Callable[..., Filled]) -> None:
    plan, trials = guidance()
    ours, other = series_of(plan, "recall", "precision", trials, NONE)
    assert (ours.label, other.label) == ("AdaGN", "addition")
    assert [(p.x, p.y, p.label) for p in ours.points] == [(0.6, 0.6, "0.0"), (0.59, 0.61, "1.0"), (0.5, 0.7, "10.0")]
    assert series_of(plan, "recall", "fid", trials, NONE)[0].paper == [Point(0.5, 5.5)]


def test_each_arm_follows_its_own_last_parameter(guidance: Callable[..., Filled]) -> None:
    parameters = {
        "sample.guidance_scale": {"values": SCALES, "when": {"arm": "AdaGN"}},
        "sample.steps": {"values": [[10], [50]], "when": {"arm": "addition"}},
    }
    plan, trials = guidance(parameters=parameters)
    ours, other = series_of(plan, "recall", "precision", trials, NONE)
    assert (ours.label, other.label) == ("AdaGN", "addition")
    assert [p.label for p in ours.points] == ["0.0", "1.0", "10.0"]
    assert [p.label for p in other.points] == ["[10]", "[50]"]


def test_arms_may_be_x(guidance: Callable[..., Filled]) -> None:
    plan, trials = guidance(parameters={})
    (ours,) = series_of(plan, "arm", "fid", trials, NONE)
    assert [(p.x, p.y) for p in ours.points] == [("AdaGN", 4.1), ("addition", 6.1)]


def test_arms_that_are_not_named_are_called_by_what_they_set(guidance: Callable[..., Filled]) -> None:
    plan, trials = guidance(arms={}, seeds=(0, 1, 2))
    (ours,) = series_of(plan, "arm", "fid", trials, NONE)
    assert [(p.x, p.seeds) for p in ours.points] == [(f"guidance_scale {scale}", 3) for scale in SCALES]


def test_an_arm_that_sets_nothing_has_its_name_beside_those_that_do(guidance: Callable[..., Filled]) -> None:
    plan, trials = guidance(arms={"AdaGN": {}, "addition": {"model.norm": "add"}})
    labels = {x: [one.label for one in series_of(plan, x, "fid", trials, NONE)] for x in ("recall", "model.norm")}
    assert labels["recall"] == ["AdaGN", "addition"]
    assert labels["model.norm"] == [f"guidance_scale {scale}" for scale in SCALES], "x is all that arms set"


def test_seeds_are_one_point_where_x_is_measured(paper: Callable[..., Filled]) -> None:
    """Each took its own time, and came to its own recall."""

    def by_seed(planned: PlannedTrial, rung: Rung) -> Mapping[str, float]:
        return {**quality(planned, rung), "recall": 0.5 + planned.trial.seed / 10}

    plan, trials = paper(by_seed, arms={"AdaGN": {}, "addition": {"model.norm": "add"}}, seeds=(0, 1, 2))
    for trial in trials:
        for result in trial.results.values():
            result.cost = replace(result.cost, seconds=5.0 + trial.planned.trial.seed)
    for x, mean in (("train.seconds", 6.0), ("seconds", 18.0), ("recall", 0.6)):
        ours, other = series_of(plan, x, "fid", trials, NONE)
        assert [(p.x, p.y, p.error, p.seeds) for p in ours.points] == [(pytest.approx(mean), 5.1, 1.0, 3)]
        assert [(p.x, p.y) for p in other.points] == [pytest.approx((mean, 7.1))]


@pytest.mark.parametrize("values", [[None, 0.1, 0.2], [None, "a", "b"], [0.1, None, 0.2], [[1], None]])
def test_null_is_a_value_like_any_other(paper: Callable[..., Filled], tmp_path: Path, values: list[Any]) -> None:
    x = "sample.guidance_scale"
    plots = [{"kind": kind, "x": x, "y": "fid", "log": log} for kind, log in KINDS.items()]
    rows = [{"when": {x: None}, "fid": 9.0}]
    plan, trials = paper(
        lambda planned, rung: {"fid": planned.trial.index + 1.0},
        parameters={x: {"values": values}},
        report={"plots": plots},
        reference={"rows": rows},
    )
    (ours,) = series_of(plan, x, "fid", trials, NONE)
    assert [(p.x, p.y) for p in ours.points] == [(value, index + 1.0) for index, value in enumerate(values)]
    assert ours.paper == [Point(None, 9.0)]
    assert len(write(plan, trials, tmp_path / "report", frozenset()).pictures) == len(plots)
    axis = Axis.of(plan.sweep.report.plots[0], [ours])
    assert "null" in axis.names
    assert len(axis.names) == len(values)


def test_numbers_are_in_order_and_null_before_them() -> None:
    series = Series("", [Point(2, 1.0), Point(None, 1.0), Point(10, 1.0)], [Point(4, 1.0)])
    assert Axis.of(Plot(kind="line", x="a", y="fid"), [series]).names == ("null", "2", "4", "10")


def test_it_is_said_what_error_bars_are() -> None:
    over_seeds, of_samples, none = Point(1, 1.0, 0.1, seeds=3), Point(2, 1.0, 0.2), Point(3, 1.0)
    assert error_bars_are([over_seeds, none]) == "± sd over seeds"
    assert error_bars_are([of_samples, none]) == "± 95%"
    assert error_bars_are([over_seeds, of_samples]) == "± sd over seeds; of one seed ± 95%"
    assert error_bars_are([none]) == ""


def test_what_was_measured_otherwise_is_told_from_the_rest(guidance: Callable[..., Filled]) -> None:
    plan, trials = guidance(arms={})
    (ours,) = series_of(plan, "sample.guidance_scale", "fid", trials, frozenset({trials[0].planned.name}))
    assert [p.is_ranked for p in ours.points] == [False, True, True]


@pytest.fixture
def training(paper: Callable[..., Filled]) -> Filled:
    """Two arms climb; the second is stopped at the second rung."""

    def found(planned: PlannedTrial, rung: Rung) -> Mapping[str, float] | None:
        assert rung.amount is not None
        is_stopped = planned.trial.arm == "addition" and rung.amount > 500
        return None if is_stopped else {"fid": 1e3 / rung.amount, "num_samples": 50_000}

    arms = {"AdaGN": {"model.norm": "adagn"}, "addition": {"model.norm": "add"}}
    scheduler = {"name": "asha", "budget": "train.iterations", "rungs": [250, 500, 1000]}
    rows = [{"when": {"model.norm": "adagn", "train.iterations": i}, "fid": float(i)} for i in (500, 4000)]
    plan, trials = paper(found, arms=arms, scheduler=scheduler, reference={"rows": rows})
    return replace(plan, decided={plan.trials[1].rungs[1].leaf.key: "stop"}), trials


def test_quality_through_training_has_a_point_a_rung(training: Filled) -> None:
    plan, trials = training
    ours, other = series_of(plan, "train.iterations", "fid", trials, NONE)
    assert [(p.x, p.y) for p in ours.points] == [(250, 4.0), (500, 2.0), (1000, 1.0)]
    assert [(p.x, p.y) for p in ours.paper] == [(500, 500.0), (4000, 4000.0)]
    assert [p.x for p in other.points] == [250, 500]
    assert [row.status for row in table(plan, trials).rows] == ["cached", "stopped at 500"]


def test_cost_along_x_is_what_the_trial_had_spent_by_then(training: Filled) -> None:
    plan, trials = training
    ours, _ = series_of(plan, "train.seconds", "fid", trials, NONE)
    assert [p.x for p in ours.points] == pytest.approx([2.5, 5.0, 10.0]), "a second is 100 iterations"
    ours, _ = series_of(plan, "train.v100_days", "fid", trials, NONE)
    assert [p.x for p in ours.points] == pytest.approx([s / 86_400 for s in (2.5, 5.0, 10.0)])
    assert series_of(plan, "evaluate.v100_days", "fid", trials, NONE) == [], "on a CPU it is not known"


def test_every_kind_is_drawn_and_what_cannot_be_is_said(guidance: Callable[..., Filled], tmp_path: Path) -> None:
    x = "sample.guidance_scale"
    plots = [
        {"kind": "line", "x": x, "y": ["fid", "precision", "recall"], "log": ["x", "y"]},
        {"kind": "bar", "x": x, "y": "fid"},
        {"kind": "bar", "x": x, "y": "fid", "log": ["y"]},
        {"kind": "scatter", "x": "recall", "y": "precision"},
        {"kind": "bar", "x": "model.norm", "y": ["fid", "inception_score"]},
    ]
    plan, trials = guidance(report={"plots": plots})
    written = write(plan, trials, tmp_path / "report", frozenset())
    assert len(set(written.pictures)) == len(plots), "two of the same metrics do not overwrite each other"
    assert "not plotted: inception_score by model.norm, since no result has them" in written.table.notes
    for picture in written.pictures:
        with Image.open(picture) as image:
            assert len(image.convert("RGB").getcolors(1 << 24) or []) > 10, "something is on it"
