"""A sweep whose arms are of two workloads: one run, one store, one ranking of what was measured alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import pandas as pd
import pytest
from PIL import Image

import assay
import toy_workload
from assay.errors import UserError
from assay.execution import Outcome
from assay.home import Home
from assay.planning import make_plan
from assay.report import write
from assay.results import Table, table
from assay.sweep import Sweep, load_sweep
from assay.workload import Budget, ReportHints, Stage, StageContext, TypedWorkload, Workload
from assay.workload.fields import Section


class Latent(Section):
    size: int = 4
    eyes: str = ""


class Config(Section):
    noise: int = 0
    latent: Latent = Latent()
    evaluate: toy_workload.Evaluate = toy_workload.Evaluate()


class Gan(TypedWorkload[Config]):
    """draw, which names a group of resources of its own → rate."""

    name = "gan"
    config_type = Config
    bases: ClassVar = {"small": Config()}
    report = ReportHints(("distance", "fooled"), sample_grid="faces.png", comparable=("num_samples",))
    seed_path = "noise"

    def stages_of(self, config: Config) -> Sequence[Stage]:
        size = {"size": config.latent.size}
        draw = Stage("draw_latents", 1, "reduce", (f"{__name__}:draw",), size, resources="latents")
        budget = Budget("evaluate.num_samples", config.evaluate.num_samples, "images")
        conditions = {"num_samples": budget.amount} | ({"eyes": config.latent.eyes} if config.latent.eyes else {})
        body = (f"{__name__}:rate",)
        return [Stage("rate", 1, "reduce", body, {}, {"latents": draw}, budget, conditions=conditions)]


def draw(ctx: StageContext) -> Mapping[str, float]:
    return {"size": ctx.config["size"], "threads": ctx.threads}


def rate(ctx: StageContext) -> Mapping[str, float]:
    Image.new("RGB", (8, 8)).save(ctx.output / "faces.png")
    return {"distance": ctx.inputs["latents"].metrics["size"] / 4, "fooled": 0.5, "num_samples": ctx.amount}


class Shared(Gan):
    """Its one stage has the key of the toy's, and another body."""

    name = "shared"

    def stages_of(self, config: Config) -> Sequence[Stage]:
        (guess,) = toy_workload.quick.stages_of(toy_workload.Config())
        return [replace(guess, body=(f"{__name__}:rate",))]


WORKLOADS: Mapping[str, Workload] = {"toy": toy_workload.workload, "gan": Gan(), "shared": Shared()}
SWEEP: Mapping[str, Any] = {
    "version": 1,
    "name": "rivals",
    "workload": "toy",
    "base": "tiny",
    "config": {"train.iterations": 5, "evaluate.num_samples": 6},
    "arms": {
        "diffusion": {},
        "gan": {"workload": "gan", "base": "small", "latent.size": 6},
        "few": {"workload": "gan", "base": "small", "evaluate.num_samples": 2},
    },
    "parameters": {"sample.scale": {"values": [0.0, 1.0], "when": {"arm": "diffusion"}}},
    "resources": {"latents": {"cpus": 3}},
    "metric": "distance",
    "mode": "min",
}


def sweep(**sections: Any) -> Sweep:
    return load_sweep({**SWEEP, **sections}, find_workload=WORKLOADS.__getitem__)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def outcome(home: Home) -> Outcome:
    return assay.run(sweep(), home, executor="inline")


@pytest.fixture(scope="module")
def made(outcome: Outcome) -> Table:
    return table(outcome.plan, outcome.trials)


def test_what_was_measured_alike_is_ranked_together(made: Table) -> None:
    assert [(row.trial, row.rank, row.metrics["distance"]) for row in made.rows] == [
        ("diffusion, scale 0.0", 1, 1.0),
        ("gan", 2, 1.5),
        ("diffusion, scale 1.0", 3, 2.0),
        ("few", None, 1.0),
    ]
    assert made.rows[-1].unranked == "num_samples 2, not 6"
    assert made.metrics == ("distance", "precision", "fooled"), "what either of the workloads leads with"


def test_each_trial_says_where_it_comes_from(outcome: Outcome, made: Table) -> None:
    frame = outcome.to_pandas()
    assert dict(zip(frame["arm"], zip(frame["workload"], frame["base"], strict=True), strict=True)) == {
        "diffusion": ("toy", "tiny"),
        "gan": ("gan", "small"),
        "few": ("gan", "small"),
    }
    assert "noise" not in frame
    assert made.to_pandas().loc[1, "latent.size"] == 6
    assert pd.isna(made.to_pandas().loc[0, "latent.size"])
    stored = {r.stage: r.record for trial in outcome.trials for r in trial.results.values()}
    assert stored["rate"]["body"] == [f"{__name__}:rate"]
    assert stored["train"]["body"] == ["toy_workload:train"]


def test_a_stage_is_given_what_its_own_group_says(outcome: Outcome) -> None:
    (gan,) = [trial for trial in outcome.trials if trial.planned.name == "gan"]
    (drawn,) = [result for result in gan.results.values() if result.stage == "draw_latents"]
    assert drawn.metrics["threads"] == 3


def test_the_report_has_the_samples_of_all_of_them(outcome: Outcome, home: Home) -> None:
    folder = home.report("rivals", None)
    write(outcome.plan, outcome.trials, folder, outcome.computed)
    assert {"gan.png", "few.png", "diffusion-scale-0.0.png", "samples.png"} <= {p.name for p in folder.iterdir()}
    assert "4 trials of toy tiny, gan small" in (folder / "report.html").read_text()


def test_the_same_again_computes_nothing_and_an_arm_less_is_the_same_study(outcome: Outcome, home: Home) -> None:
    assert outcome.computed
    assert not assay.run(sweep(), home, executor="inline").computed
    alone = sweep(arms={"diffusion": {}}, resources={})
    assert not assay.run(alone, home, executor="inline").computed


def test_workloads_race_where_they_measure_alike() -> None:
    race = {"name": "halving", "budget": "evaluate.num_samples", "rungs": [6, 12]}
    gan = {"workload": "gan", "base": "small"}
    plan = make_plan(sweep(config={}, arms={"diffusion": {}, "gan": gan}, scheduler=race))
    assert [[rung.amount for rung in trial.rungs] for trial in plan.trials] == [[6, 12]] * 3
    arms = {"diffusion": {}, "gan": {**gan, "latent.eyes": "its own"}}
    with pytest.raises(UserError, match=r"'diffusion, scale 0\.0' and 'gan' have eyes None and its own"):
        make_plan(sweep(config={}, arms=arms, scheduler=race))


def test_stages_of_two_workloads_with_one_key_are_refused() -> None:
    workloads = {**WORKLOADS, "toy": toy_workload.quick}
    arms = {"toy": {}, "other": {"workload": "shared", "base": "small"}}
    keys = {"arms": arms, "parameters": {}, "config": {}, "resources": {}}
    with pytest.raises(UserError, match=r"^stage guess has the same key in the workloads toy \(toy_workload:guess\)"):
        make_plan(load_sweep({**SWEEP, **keys}, find_workload=workloads.__getitem__))
