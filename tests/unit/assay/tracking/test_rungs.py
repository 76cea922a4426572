"""MLflow beside a race: a run shows the rungs that its trial climbed in this study, whatever else is stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import assay
import toy_workload
from assay.execution import Outcome
from assay.home import Home
from assay.planning import make_plan
from assay.results import from_store
from assay.store import Store
from assay.sweep import Sweep
from assay.tracking import Tracker
from assay.tracking.client import mlflow_client
from tracking_database import with_database

pytestmark = pytest.mark.slow

RUNGS = (6, 12, 30)


def sweep(name: str, scheduler: str, **more: Any) -> Sweep:
    """Three arms, the best last."""
    written = {
        "version": 1,
        "name": name,
        "workload": "toy",
        "base": "tiny",
        "parameters": {"sample.scale": {"values": [2.0, 1.0, 0.0]}},
        "scheduler": {"name": scheduler, "budget": "evaluate.num_samples", "rungs": RUNGS, **more},
        "metric": "distance",
        "mode": "min",
    }
    made = Sweep.model_validate(written)
    made._workload = toy_workload.Quick()
    return made


def run(made: Sweep, home: Home) -> Outcome:
    return assay.run(make_plan(made), home, executor="inline", listeners=[Tracker(home, pytest.fail)])


def shown(home: Home, name: str) -> dict[str, tuple[str, list[int]]]:
    """Per trial, its run's status and the steps its metric has in MLflow."""
    client = mlflow_client(home.tracking_uri)
    found = client.search_runs([client.get_experiment_by_name(name).experiment_id], "tags.`assay.role` = 'trial'")
    return {
        run.info.run_name: (
            run.info.status,
            sorted(point.step for point in client.get_metric_history(run.info.run_id, "distance")),
        )
        for run in found
    }


ALL, FIRST = ("FINISHED", [6, 12, 30]), ("FINISHED", [6])
RACED = {"scale 2.0": FIRST, "scale 1.0": FIRST, "scale 0.0": ALL}


def test_rungs_that_another_study_stored_are_not_shown_where_this_one_stopped(home: Home) -> None:
    run(sweep("all", "fifo"), home)
    assert shown(home, "all") == {"scale 2.0": ALL, "scale 1.0": ALL, "scale 0.0": ALL}
    run(sweep("race", "halving"), home)
    assert shown(home, "race") == RACED
    run(sweep("target", "fifo", target=1.5), home)
    assert shown(home, "target") == {"scale 2.0": ALL, "scale 1.0": ALL, "scale 0.0": FIRST}


def test_a_study_that_becomes_a_race_shows_what_it_then_decided(home: Home) -> None:
    """MLflow forgets no point: a run that shows more than its trial has is replaced."""
    run(sweep("study", "fifo"), home)
    raced = sweep("study", "halving")
    run(raced, home)
    assert shown(home, "study") == RACED
    run(raced, home)
    assert shown(home, "study") == RACED


def test_a_run_and_a_later_sync_show_the_same(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_STORE", str(tmp_path / "store"))
    run(sweep("all", "fifo"), home)
    raced = sweep("race", "halving")
    outcome = run(raced, home)
    other = with_database(Home(tmp_path / "other"))
    store = Store(other.store_url)
    plan = make_plan(raced, store)
    Tracker(other, pytest.fail).end(Outcome(plan, from_store(plan, store), frozenset(), 0.0))  # type: ignore[arg-type]
    assert shown(other, "race") == shown(home, "race") == RACED
    assert [trial.planned.name for trial in outcome.trials] == list(RACED)
