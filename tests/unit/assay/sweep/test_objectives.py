"""A sweep's objectives: one metric with its mode, or several metrics and costs with a direction each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from assay.jobs.package import as_file
from assay.planning import make_plan
from assay.sweep import Sweep, load_sweep
from assay.sweep.objectives import Objective

Lines = Callable[..., list[str]]
Load = Callable[..., Sweep]
START = "version: 1\nname: norms\nworkload: tiny\nbase: digits\n"
SEVERAL = Objective("fid", "min"), Objective("recall", "max"), Objective("v100_days", "min")


def written(text: str) -> bytes:
    return f"{START}{text}\n".encode()


def test_one_metric_and_its_mode(load: Load) -> None:
    sweep = load(written("metric: recall\nmode: max"))
    assert (sweep.metric, sweep.mode) == ("recall", "max")
    assert sweep.objectives == (Objective("recall", "max"),)
    assert sweep.objective == Objective("recall", "max")


@pytest.mark.parametrize("cost", ["seconds", "v100_days", "evaluate.seconds", "evaluate.v100_days"])
def test_several_in_the_order_of_the_file_costs_among_them(load: Load, cost: str) -> None:
    sweep = load(written(f"metric: {{recall: max, {cost}: min, fid: min}}"))
    assert sweep.objectives == (Objective("recall", "max"), Objective(cost, "min"), Objective("fid", "min"))
    assert str(sweep.objective) == "recall (max)"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("metric:\n  fid: min\nmode: min", "x.yaml:7: mode: got 'min', but metric gives each objective a direction"),
        ("metric:\n  fid: min\n  recall: more", "x.yaml:7: metric.recall: got 'more' (str), allowed: min, max"),
        ("metric:\n  fid: min\n  recall:", "x.yaml:7: metric.recall: got null, allowed: min, max"),
        ("metric: {}", "x.yaml:5: metric: got {}, allowed: at least one metric with its direction"),
        ("metric: [fid, recall]\nmode: min", "x.yaml:5: metric: got ['fid', 'recall'] (list), allowed: text or a map"),
        (
            "metric:\n  fid: min\n  recal: max",
            "x.yaml:7: metric.recal: unknown metric 'recal'; did you mean 'recall'?",
        ),
        (
            "metric:\n  fid: min\n  a100_days: min",
            "x.yaml:7: metric.a100_days: unknown metric 'a100_days'; did you mean 'v100_days'?",
        ),
        (
            "metric:\n  fid: min\n  train.seconds: min",
            "x.yaml:7: metric.train.seconds: unknown metric 'train.seconds'",
        ),
        (
            "metric:\n  seconds: min\n  fid: min",
            "x.yaml:6: metric.seconds: seconds is a cost; allowed: a metric first, which ranks trials, then costs, as "
            "in {fid: …, seconds: min}",
        ),
        ("metric: v100_days\nmode: min", "x.yaml:5: metric: v100_days is a cost; allowed: a metric first"),
    ],
)
def test_what_is_wrong_with_objectives_is_told_at_its_line(lines: Lines, text: str, expected: str) -> None:
    found = lines(written(text))
    assert len(found) == 1, found
    assert found[0].startswith(expected)


@pytest.mark.parametrize(
    ("metric", "plot", "expected"),
    [
        ("metric: {fid: min, recall: max}", "{kind: pareto, x: kid}", "x: got 'kid', which is no objective of the swe"),
        ("metric: {fid: min, recall: max}", "{kind: pareto, x: fid}", "x: got 'fid', which is y; allowed: another o"),
        ("metric: {fid: min, seconds: min}", "{kind: pareto, y: seconds}", "y: no trial reports 'seconds'"),
        ("metric: {fid: min, recall: max}", "{kind: pareto, y: precision}", "y: got 'precision', which is no objec"),
        ("metric: fid\nmode: min", "{kind: pareto}", "kind: a pareto plot is of several objectives, and the sweep ha"),
    ],
)
def test_a_plot_of_the_front_is_of_two_objectives(lines: Lines, metric: str, plot: str, expected: str) -> None:
    found = lines(written(f"report:\n  plots:\n    - {plot}\n{metric}"))
    assert len(found) == 1, found
    assert found[0].startswith(f"x.yaml:7: report.plots[0].{expected}")


def test_the_first_two_objectives_are_plotted_unless_others_are_named(load: Load) -> None:
    plots = "{kind: pareto}, {kind: pareto, y: recall}, {kind: pareto, x: seconds}, {kind: scatter, x: fid, y: recall}"
    sweep = load(written(f"metric: {{fid: min, recall: max, seconds: min}}\nreport: {{plots: [{plots}]}}"))
    filled = [plot.with_objectives(sweep.objectives) for plot in sweep.report.plots]
    assert [(plot.x, plot.y) for plot in filled] == [
        ("recall", "fid"),
        ("fid", "recall"),
        ("seconds", "fid"),
        ("fid", "recall"),
    ]


def test_every_mistake_of_them_at_once(lines: Lines) -> None:
    found = lines(written("metric:\n  fid: less\n  recall: more\nmode: min"))
    assert [line.split(": got")[0] for line in found] == ["x.yaml:6: metric.fid", "x.yaml:7: metric.recall"]


@pytest.mark.parametrize("several", ["{fid: min, recall: max}", "{recall: max, fid: min}"])
def test_profiles_and_sets_replace_metric_and_mode_together(load: Load, several: str) -> None:
    one, first = "metric: precision\nmode: max", several[1:].split(":")[0]
    assert load(written(one), sets=[f"metric={several}"]).objective.name == first
    profile = written(f"{one}\nprofiles:\n  smoke:\n    metric: {several}")
    assert load(profile, profile="smoke").objective.name == first
    assert load(profile).objectives == (Objective("precision", "max"),)
    back = written(f"metric: {several}\nprofiles:\n  smoke:\n    mode: max\n    metric: precision")
    assert load(back, profile="smoke").objectives == (Objective("precision", "max"),)


def test_a_metric_alone_in_place_of_several_needs_its_mode(lines: Lines) -> None:
    several = written("metric: {fid: min, recall: max}")
    assert lines(several, sets=["metric=fid"]) == ["x.yaml:1: mode: required, but missing; allowed: min, max"]
    (both,) = lines(written("metric: fid\nmode: min"), sets=["metric={fid: min}", "mode=max"])
    assert both.startswith("--set mode=max: mode: got 'max', but metric gives each objective a direction")


def test_a_sweep_built_in_python_is_checked_alike() -> None:
    head: dict[str, Any] = {"version": 1, "name": "x", "workload": "tiny", "base": "digits"}
    assert Sweep(**head, metric={"fid": "min", "recall": "max"}).objectives[1] == Objective("recall", "max")
    for wrong in ({"metric": "fid"}, {"metric": {"fid": "min"}, "mode": "min"}):
        with pytest.raises(ValidationError, match="mode"):
            Sweep(**head, **wrong)


def test_a_job_gets_them_in_their_order(load: Load, find_workload: Any) -> None:
    sweep = load(written("metric: {fid: min, recall: max, v100_days: min}"))
    assert sweep.objectives == SEVERAL
    Path("job.yaml").write_text(as_file(sweep))
    assert load_sweep("job.yaml", find_workload=find_workload).objectives == SEVERAL


def test_other_objectives_change_no_stage(load: Load) -> None:
    def keys(text: str) -> list[str]:
        return list(make_plan(load(written(text))).stages)

    one = keys("metric: fid\nmode: min")
    assert keys("metric: {fid: min, recall: max, seconds: min}") == one
    assert keys("metric: {recall: max, fid: min}") == one
