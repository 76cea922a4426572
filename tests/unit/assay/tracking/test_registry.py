"""MLflow's model registry: a finished study's best training is a version with an alias, and its weights stay where they
are."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from assay.home import Home
from assay.planning import Plan
from assay.tracking import Tracker
from assay.tracking.client import mlflow_client
from tracked_toy import Seen, ToyRun, make_plan
from tracking_database import with_database

pytestmark = pytest.mark.slow


def finish(home: Home, plan: Plan, **how: Any) -> ToyRun:
    run = ToyRun(home, plan, keeps_weights=True, **how).whole()
    assert run.warnings == []
    return run


class Registry:
    """The versions of a registered model, as MLflow's own client shows them."""

    def __init__(self, home: Home, name: str = "toy-study") -> None:
        client = mlflow_client(home.tracking_uri)
        self.versions = {v.version: v for v in client.search_model_versions(f"name = '{name}'")}
        model = next(iter(client.search_registered_models(f"name = '{name}'")), None)
        self.best = None if model is None else self.versions[int(model.aliases["best"])]

    def trained(self, seen: Seen) -> tuple[str, str]:
        """The trial of the best version's run, and the key of its training."""
        assert self.best is not None
        (name,) = [name for name, run in seen.children.items() if run.info.run_id == self.best.run_id]
        return name, self.best.tags["assay.train"]


def training_of(plan: Plan, name: str) -> str:
    (trial,) = [trial for trial in plan.trials if trial.name == name]
    return next(stage.key for stage in trial.stages if stage.kind == "train")


def test_the_best_training_is_registered_and_points_to_its_weights(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    plan = make_plan(tmp_path)
    finish(home, plan)
    key = training_of(plan, "AdaGN, scale 1.0")
    assert Registry(home).trained(Seen(home)) == ("AdaGN, scale 1.0", key)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", home.tracking_uri)
    folder = Path(mlflow.artifacts.download_artifacts("models:/toy-study@best", dst_path=str(tmp_path / "there")))
    assert [file.name for file in folder.iterdir()] == ["model.json"]
    told = json.loads((folder / "model.json").read_text())
    (training,) = told["trainings"]
    assert (told["trial"], training["stage"], training["key"]) == ("AdaGN, scale 1.0", "train", key)
    assert list(training["files"]) == ["model.bin"], "the weights, and not the curve"
    assert Path(training["files"]["model.bin"]).read_text() == key


def test_the_same_study_again_adds_nothing_and_another_database_is_filled_from_the_store(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSAY_STORE", str(tmp_path / "store"))
    plan = make_plan(tmp_path)
    finish(home, plan)
    once = Registry(home)
    finish(home, plan)
    assert Registry(home).versions.keys() == once.versions.keys() == {1}
    wiped = with_database(Home(tmp_path / "wiped"))
    finish(wiped, plan)
    assert Registry(wiped).trained(Seen(wiped)) == ("AdaGN, scale 1.0", training_of(plan, "AdaGN, scale 1.0"))


def test_the_alias_follows_the_best(home: Home, tmp_path: Path) -> None:
    """A version that was registered before gets it back."""
    whole, half = make_plan(tmp_path), make_plan(tmp_path, arms={"a": {"model.norm": "add"}, "b": {"model.width": 4}})
    best = []
    for plan in (whole, half, whole):
        finish(home, plan)
        best.append(Registry(home).best)
    assert [version and version.version for version in best] == [1, 2, 1]
    assert len(Registry(home).versions) == 2


def test_over_seeds_it_is_of_the_best_arm(home: Home, tmp_path: Path) -> None:
    plan = make_plan(tmp_path, seeds=[0, 1], parameters={})
    finish(home, plan)
    assert Registry(home).trained(Seen(home))[0] == "AdaGN, seed 0"


def test_a_profile_has_a_model_of_its_own(home: Home, tmp_path: Path) -> None:
    plan = make_plan(tmp_path)
    plan.sweep._profile = "smoke"
    finish(home, plan)
    assert Registry(home).best is None
    assert Registry(home, "toy-study.smoke").best is not None


def test_what_is_not_finished_or_has_no_weights_is_not_registered(home: Home, tmp_path: Path) -> None:
    plan = make_plan(tmp_path)
    run = ToyRun(home, plan).whole()
    assert run.warnings == []
    assert Registry(home).best is None
    other = make_plan(tmp_path, config={"model.width": 16})
    paused = ToyRun(home, other, keeps_weights=True)
    paused.begin()
    paused.compute_missing()
    paused.tracker.end(replace(paused.outcome(), paused="a limit"))
    failed = ToyRun(home, other, failed={other.trials[0].leaf.key: "boom"})
    failed.tracker.end(failed.outcome())
    assert Registry(home).best is None
    Tracker(home, pytest.fail).end(paused.outcome())
    assert Registry(home).best is not None


def test_an_mlflow_without_a_registry_is_one_line_and_shows_the_rest(home: Home, tmp_path: Path) -> None:
    with closing(sqlite3.connect(home.tracking_uri.removeprefix("sqlite:///"))) as database:
        database.execute("drop table registered_model_tags")
        database.execute("drop table registered_models")
    run = ToyRun(home, make_plan(tmp_path), keeps_weights=True).whole()
    (warning,) = run.warnings
    assert warning.startswith(f"MLflow at {home.tracking_uri} did not register the best model: ")
    assert warning.endswith("Everything else is shown there")
    seen = Seen(home)
    assert seen.parent.data.tags["assay.best"] == "AdaGN, scale 1.0"
    assert set(seen.statuses().values()) == {seen.parent.info.status} == {"FINISHED"}
