"""What the parent run says of its trials: the same as the report's table, of the trials that the sweep has now."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import assay
import toy_workload
from assay.execution import Outcome
from assay.home import Home
from assay.planning import make_plan
from assay.results import table
from assay.sweep import Sweep
from assay.tracking import Tracker
from assay.tracking.client import mlflow_client
from assay.tracking.comparison import comparison
from assay.workload import ReportHints, Stage, StageContext

pytestmark = pytest.mark.slow

RACE = {"name": "fifo", "budget": "evaluate.num_samples", "rungs": (6, 12, 30)}


class Judged(toy_workload.Quick):
    """One value an arm and a seed; `odd` has none that is a number."""

    report = ReportHints(metrics=("distance",), comparable=("num_samples",))

    def stages(self, config: Mapping[str, Any]) -> Sequence[Stage]:
        read = {"seed": config["seed"], **config["sample"], "amount": config["evaluate"]["num_samples"]}
        return [Stage("judge", 1, "reduce", (f"{__name__}:judge",), read)]


def judge(ctx: StageContext) -> Mapping[str, float]:
    scale, seed = ctx.config["scale"], ctx.config["seed"]
    distance = {0.0: [1.0, 4.0], 1.0: [2.0, 2.2], 2.0: [3.0, 3.0]}[scale][seed]
    recall = {0.0: 0.5, 1.0: 0.4, 2.0: 0.9}[scale]
    return {"distance": distance, "recall": recall, "num_samples": ctx.config["amount"], "odd": math.inf}


def sweep(workload: toy_workload.Toy, **more: Any) -> Sweep:
    """Three arms, the best last."""
    written = {
        "version": 1,
        "name": "study",
        "workload": "toy",
        "base": "tiny",
        "parameters": {"sample.scale": {"values": [2.0, 1.0, 0.0]}},
        "metric": "distance",
        "mode": "min",
    }
    made = Sweep.model_validate({**written, **more})
    made._workload = workload
    return made


def run(made: Sweep, home: Home) -> Outcome:
    return assay.run(make_plan(made), home, executor="inline", listeners=[Tracker(home, pytest.fail)])


class Seen:
    """The parent, its table, and the runs that the saved view of the arms shows."""

    def __init__(self, home: Home) -> None:
        client = mlflow_client(home.tracking_uri)
        experiment = client.get_experiment_by_name("study")
        state = json.loads(experiment.tags["mlflow.sharedViewState.arms"])
        (self.parent,) = client.search_runs([experiment.experiment_id], "tags.`assay.role` = 'sweep'")
        self.trials = list(client.search_runs([experiment.experiment_id], "tags.`assay.role` = 'trial'"))
        self.arms = list(client.search_runs([experiment.experiment_id], state["searchFilter"]))
        self.text = Path(client.download_artifacts(self.parent.info.run_id, "comparison.json")).read_text("utf-8")

    @property
    def best(self) -> tuple[str | None, float | None]:
        return self.parent.data.tags.get("assay.best"), self.parent.data.metrics.get("best/distance")

    def column(self, name: str) -> list[Any]:
        shown = json.loads(self.text)
        return [row[shown["columns"].index(name)] for row in shown["data"]]


def test_the_best_of_a_race_is_who_the_table_names_though_others_climbed_on(home: Home) -> None:
    outcome = run(sweep(toy_workload.Quick(), scheduler={**RACE, "target": 1.2}), home)
    made, seen = table(outcome.plan, outcome.trials), Seen(home)
    assert made.best == "scale 0.0"
    assert seen.best == ("scale 0.0", 1.0)
    assert seen.column("arm") == [row.trial for row in made.rows]
    assert seen.column("rank") == [row.rank for row in made.rows]
    assert seen.column("budget") == [6, 30, 30]


def test_a_trial_that_was_measured_otherwise_is_not_the_best(home: Home) -> None:
    arms = {"many": {"sample.scale": 1.0}, "more": {"sample.scale": 2.0}, "few": {"evaluate.num_samples": 3}}
    outcome = run(sweep(Judged(), parameters={}, arms=arms), home)
    seen = Seen(home)
    assert table(outcome.plan, outcome.trials).best == "many"
    assert seen.best == ("many", 2.0)
    assert (seen.column("arm"), seen.column("rank")) == (["many", "more", "few"], [1, 2, None])


def test_the_best_over_seeds_is_an_arm_and_not_the_luckiest_seed(home: Home) -> None:
    outcome = run(sweep(Judged(), seeds=[0, 1]), home)
    seen = Seen(home)
    assert table(outcome.plan, outcome.trials).best == "scale 1.0"
    assert seen.best == ("scale 1.0", pytest.approx(2.1))
    assert seen.column("arm")[0] == "scale 0.0, seed 0"
    assert "Best: scale 1.0" in seen.parent.data.tags["mlflow.note.content"]


def test_one_trial_is_called_best_by_nobody(home: Home) -> None:
    run(sweep(Judged()), home)
    assert Seen(home).best == ("scale 0.0", 1.0)
    outcome = run(sweep(Judged(), parameters={"sample.scale": {"values": [1.0]}}), home)
    assert table(outcome.plan, outcome.trials).best is None
    assert Seen(home).best == (None, 2.0)


def test_the_pareto_front_is_marked_and_forgotten_with_its_objectives(home: Home) -> None:
    several = {"metric": {"distance": "min", "recall": "max"}, "mode": None}
    outcome = run(sweep(Judged(), **several), home)
    seen, front = Seen(home), table(outcome.plan, outcome.trials).front
    assert front is not None
    assert front.names == ("scale 0.0", "scale 2.0")
    assert (seen.column("arm"), seen.column("pareto")) == (
        ["scale 0.0", "scale 1.0", "scale 2.0"],
        ["front", None, "front"],
    )
    assert {r.info.run_name for r in seen.trials if r.data.tags.get("assay.pareto") == "true"} == set(front.names)
    assert seen.parent.data.tags["assay.objectives"] == "distance (min), recall (max)"
    assert seen.parent.data.tags["assay.pareto"] == "scale 0.0; scale 2.0"
    assert "Pareto front of distance (min), recall (max): scale 0.0; scale 2.0" in (
        seen.parent.data.tags["mlflow.note.content"].replace("\\", "")
    )
    run(sweep(Judged()), home)
    seen = Seen(home)
    assert not [r for r in (seen.parent, *seen.trials) if "assay.pareto" in r.data.tags]
    assert "pareto" not in json.loads(seen.text)["columns"]


def test_the_front_over_seeds_is_of_arms_and_costs_are_metrics(home: Home) -> None:
    several = {"metric": {"distance": "min", "recall": "max", "judge.device_days": "min"}, "mode": None}
    outcome = run(sweep(Judged(), seeds=[0, 1], **several), home)
    seen, front = Seen(home), table(outcome.plan, outcome.trials).front
    assert front is not None
    on_it = {r.info.run_name for r in seen.trials if "assay.pareto" in r.data.tags}
    assert on_it == {f"{arm}, seed {seed}" for arm in front.names for seed in (0, 1)}
    cost = {r.info.run_name: r.data.metrics["cost/judge.device_days"] for r in seen.trials}
    assert cost == {row.trial: row.objectives["judge.device_days"] for row in table(outcome.plan, outcome.trials).rows}


def test_the_table_is_json_whatever_was_measured(home: Home) -> None:
    outcome = run(sweep(Judged()), home)
    seen = Seen(home)
    assert comparison(outcome).best_metrics["odd"] == math.inf
    assert seen.column("odd") == [None, None, None]
    json.loads(seen.text, parse_constant=pytest.fail)


def test_the_arms_are_those_of_the_sweep_as_it_was_run_last(home: Home) -> None:
    """The same names and parameters with another config: the runs stay, and are told apart."""
    few, many = ({"evaluate.num_samples": count} for count in (3, 12))
    shown = []
    for config in (few, many, few):
        run(sweep(Judged(), config=config), home)
        shown.append(Seen(home))
    first, second, third = ({arm.info.run_id for arm in seen.arms} for seen in shown)
    assert [len(runs) for runs in (first, second, third)] == [3, 3, 3]
    assert first == third
    assert not first & second
    assert {r.info.run_id: r.data.tags["assay.standing"] for r in shown[-1].trials} == {
        **dict.fromkeys(first, "current"),
        **dict.fromkeys(second, "superseded"),
    }
    assert {arm.data.metrics["num_samples"] for arm in shown[-1].arms} == {3}
    assert {run.info.status for run in shown[-1].trials} == {"FINISHED"}
