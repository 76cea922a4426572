"""A trial with several extractors: its images are drawn once, and each metric has one name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import assay
from adm.workload import workload
from assay.cli.commands.estimates import summary
from assay.costs.availability import survey
from assay.errors import ConfigError, UserError
from assay.home import Home
from assay.planning import make_plan
from assay.results.outcome import Outcome
from assay.results.table import table
from assay.store import Store
from assay.sweep import Sweep
from quick_samples import drawing

BOTH = ["pixels", "classifier"]
NUM = 24
CONFIG = {
    "model.channel_mult": [1],
    "model.attention_resolutions": [],
    "train.iterations": 2,
    "train.batch_size": 4,
    "train.precision": "fp32",
    "classifier.model.channels": 32,
    "classifier.model.channel_mult": [1],
    "classifier.model.attention_resolutions": [],
    "classifier.train.iterations": 2,
    "classifier.train.batch_size": 4,
    "classifier.train.precision": "fp32",
    "sample.sampler": "ddim",
    "sample.steps": 2,
    "sample.guidance_scale": 0.0,
    "sample.precision": "fp32",
    "sample.batch_size": 10,
    "evaluate.num_samples": NUM,
    "evaluate.num_reference": 30,
}
STEPS = 2


def sweep(*extractors: str, **config: Any) -> Sweep:
    head = {"version": 1, "name": "several", "workload": "adm", "base": "digits", "metric": "fd_pixels", "mode": "min"}
    given = {name.replace("__", "."): value for name, value in config.items()}
    return Sweep.model_validate({**head, "config": {**CONFIG, "evaluate.extractors": list(extractors), **given}})


def run(home: Home, *extractors: str, **config: Any) -> tuple[Outcome, int]:
    """The outcome, and how many images were drawn."""
    with drawing() as count:
        outcome = assay.run(sweep(*extractors, **config), home, executor="inline")
    assert outcome.trials[0].error is None
    return outcome, sum(count) // STEPS


def planned(home: Home, *extractors: str, **config: Any) -> list[str]:
    store = Store(home.store_url)
    plan = make_plan(sweep(*extractors, **config), store)
    return summary(plan, survey(plan, store))


def computed(outcome: Outcome) -> list[str]:
    return sorted(stage.name for stage in outcome.plan.stages.values() if stage.key in outcome.computed)


@pytest.fixture(scope="module")
def by_pixels(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Where one extractor's figures are, and no images were kept."""
    home = Home(tmp_path_factory.mktemp("by-pixels"))
    assert run(home, "pixels")[1] == NUM
    return home


@pytest.fixture
def home(by_pixels: Home, tmp_path: Path) -> Home:
    return Home(shutil.copytree(by_pixels.root, tmp_path / "home"))


@pytest.mark.slow
def test_images_are_drawn_once_for_all_and_no_metric_is_ambiguous(by_pixels: Home, tmp_path: Path) -> None:
    outcome, drawn = run(Home(tmp_path / "both"), *BOTH)
    assert drawn == NUM
    (trial,) = outcome.trials
    one = {**assay.run(sweep("pixels"), by_pixels, executor="inline").trials[0].metrics}
    metrics = {**trial.metrics}
    assert {name: metrics[name] for name in one} == one, "the first extractor's are as if it were alone"
    others = {"fd_classifier", "precision_classifier", "recall_classifier", "kid_classifier", "kid_classifier_se"}
    more = metrics.keys() - one.keys()
    assert {name for name in more if not name.endswith(("_low", "_high"))} == others
    assert {"precision_classifier_low", "precision_classifier_high"} <= more
    declared = workload.metrics(trial.planned.trial.config)
    assert set(declared) <= metrics.keys()
    leaf = trial.results[trial.planned.leaf.key]
    assert {"precision", "precision_classifier"} <= json.loads(leaf.file("jackknife.json").read_text()).keys()
    assert str(leaf.notes["extractor"]).startswith("pixels; classifier ")
    assert leaf.file("samples.png").is_file()


RACE = {"name": "asha", "budget": "evaluate.num_samples", "rungs": [10, NUM]}


@pytest.mark.slow
def test_an_arm_with_one_more_extractor_is_ranked_by_the_metric_that_both_have(home: Home) -> None:
    own = sweep("pixels").model_dump(exclude_unset=True)
    arms = {"one": {}, "two": {"evaluate.extractors": BOTH}}
    outcome = assay.run(Sweep.model_validate({**own, "arms": arms}), home, executor="inline")
    first, second = table(outcome.plan, outcome.trials).rows
    assert (first.rank, second.rank) == (1, 2)
    assert first.metrics["fd_pixels"] == second.metrics["fd_pixels"]
    assert first.conditions["extractor"] == second.conditions["extractor"] == "pixels"


def test_arms_race_by_the_metric_that_both_have_if_its_network_is_the_same() -> None:
    arms = {"one": {"evaluate.extractors": ["classifier"]}, "two": {"evaluate.extractors": BOTH}}
    own = {**sweep("pixels").model_dump(exclude_unset=True), "scheduler": RACE, "metric": "fd_classifier"}
    assert make_plan(Sweep.model_validate({**own, "arms": arms}))
    arms["two"]["classifier.train.iterations"] = 3
    with pytest.raises(UserError, match=r"different conditions: .* have extractor classifier \w+ and classifier \w+"):
        make_plan(Sweep.model_validate({**own, "arms": arms}))


@pytest.mark.slow
def test_one_more_extractor_draws_again_and_computes_no_other_features(home: Home) -> None:
    assert planned(home, *BOTH)[0] == f"draw runs again: its {NUM} images were not stored, and features needs them."
    outcome, drawn = run(home, *BOTH)
    assert drawn == NUM
    assert computed(outcome) == ["evaluate", "features", "metrics", "reference", "statistics", "train_classifier"]


@pytest.mark.slow
def test_one_more_extractor_of_kept_images_draws_nothing(home: Home) -> None:
    assert run(home, "pixels", sample__keep_images="npz")[1] == NUM
    assert planned(home, *BOTH)[0] == f"features reads the {NUM} images that draw stored."
    outcome, drawn = run(home, *BOTH)
    assert drawn == 0
    assert computed(outcome) == ["evaluate", "features", "metrics", "reference", "statistics", "train_classifier"]


def test_one_of_a_list_is_that_one() -> None:
    assert _keys("evaluate.extractors", ["pixels"]) == _keys("evaluate.extractor", "pixels")


def _keys(path: str, value: Any) -> set[str]:
    return {stage.key for stage in workload.stages(workload.resolve("digits", {**CONFIG, path: value}))}


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"evaluate.extractors": ["pixels", "pixels"]}, r"evaluate\.extractors names pixels twice; leave one out"),
        (
            {"evaluate.extractors": ["pixels", "dino"]},
            r"unknown extractor 'dino'; did you mean 'dinov2'\? allowed: pixels, inception, dinov2, clip, classifier",
        ),
        (
            {"classifier": None, "evaluate.extractors": BOTH},
            r"evaluate\.extractors: classifier needs the trial's own classifier",
        ),
        (
            {"evaluate.extractors": BOTH, "evaluate.inception_precision": "bf16"},
            r"has no effect on evaluate\.extractors pixels, classifier: it is for inception",
        ),
        (
            {"evaluate.extractors": BOTH, "evaluate.metrics": ["inception_score"]},
            r"evaluate\.metrics: inception_score: needs logits, which evaluate\.extractor pixels does not compute",
        ),
    ],
)
def test_what_cannot_be_had_is_refused(config: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        workload.resolve("digits", config)
