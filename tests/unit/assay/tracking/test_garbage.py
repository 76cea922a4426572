"""What `assay gc` finds and deletes in MLflow: runs whose results this store has or had, and versions of models."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from assay.home import Home
from assay.planning import Plan
from assay.store import Store
from assay.tracking import Found, StoredKeys, delete_old, find_old
from assay.tracking.client import mlflow_client
from tracked_toy import Seen, ToyRun, make_plan

pytestmark = pytest.mark.slow
SERVER = """
from mlflow.server import app
from werkzeug.serving import make_server
server = make_server("127.0.0.1", 0, app, threaded=True)
print(server.server_port, flush=True)
server.serve_forever()
"""


def finish(home: Home, plan: Plan) -> None:
    assert ToyRun(home, plan, keeps_weights=True).whole().warnings == []


def find(home: Home, *kept: str, going: bool = True, older_than_s: float = 0.0) -> Found:
    keys = Store(home.store_url).known()
    stored = StoredKeys(keys, {"toy-study"}, dict.fromkeys(keys, ("toy-study", None)) if going else {})
    found = find_old(home, kept, older_than_s, stored)
    assert found.problem is None
    return found


def client_of(home: Home) -> Any:
    return mlflow_client(home.tracking_uri)


def models(home: Home) -> dict[str, list[int]]:
    """Registered model → its versions."""
    client = client_of(home)
    versions = client.search_model_versions()
    return {m.name: [int(v.version) for v in versions if v.name == m.name] for m in client.search_registered_models()}


@pytest.fixture
def on_a_server(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """The home's database behind MLflow's own server."""
    where = {
        "_MLFLOW_SERVER_FILE_STORE": home.tracking_uri,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": (tmp_path / "artifacts").as_uri(),
    }
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], env={**os.environ, **where}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
        yield home
        server.kill()


def test_the_registered_models_of_what_goes_go_with_it(home: Home, tmp_path: Path) -> None:
    finish(home, make_plan(tmp_path))
    smoke = make_plan(tmp_path)
    smoke.sweep._profile = "smoke"
    finish(home, smoke)
    assert models(home) == {"toy-study": [1], "toy-study.smoke": [1]}
    found = find(home)
    told = {(each.model, each.version, each.author) for each in found.versions}
    assert told == {("toy-study", "1", ("toy-study", None)), ("toy-study.smoke", "1", ("toy-study", "smoke"))}
    assert delete_old(home, found) == found
    assert models(home) == {}
    assert find(home) == Found()


def test_a_server_loses_them_too(on_a_server: Home, tmp_path: Path) -> None:
    finish(on_a_server, make_plan(tmp_path))
    assert models(on_a_server) == {"toy-study": [1]}
    found = find(on_a_server)
    assert ([each.model for each in found.versions], {run.bytes for run in found.runs}) == (["toy-study"], {None})
    assert delete_old(on_a_server, found) == found
    assert models(on_a_server) == {}


def test_versions_of_others_and_of_what_stays_stay_with_their_model(home: Home, tmp_path: Path) -> None:
    finish(home, make_plan(tmp_path))
    client, kept = client_of(home), client_of(home).create_experiment("somebody's")
    own = client.create_run(kept)
    client.create_model_version("toy-study", f"runs:/{own.info.run_id}/model", own.info.run_id)
    assert find(home, "toy-study", going=False).versions == []
    delete_old(home, find(home))
    assert models(home) == {"toy-study": [2]}
    assert client.get_registered_model("toy-study").aliases == {}


def test_a_version_goes_whose_weights_go_though_its_run_stays(home: Home, tmp_path: Path) -> None:
    finish(home, make_plan(tmp_path))
    found = find(home, "toy-study")
    (version,) = found.versions
    assert (found.runs, version.author) == ([], ("toy-study", None))
    assert version.key in Store(home.store_url).known()
    delete_old(home, found)
    assert models(home) == {}
    assert len(Seen(home).runs) == 5


def test_runs_that_another_store_has_the_results_of_stay(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They may share a training with this one."""
    plan, scales = make_plan(tmp_path), {"sample.scale": {"values": [7.0]}}
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("ASSAY_STORE", str(tmp_path / "elsewhere"))
        finish(home, plan)
    assert find(home).left == {("toy-study", "elsewhere"): 4}
    assert find(home).runs == []
    finish(home, make_plan(tmp_path, parameters=scales))
    found = find(home)
    assert sorted(old.run.info.run_name for old in found.runs) == ["AdaGN, scale 7.0", "addition, scale 7.0"]
    assert found.left == {("toy-study", "elsewhere"): 4}
    delete_old(home, found)
    assert len(Seen(home).runs) == 5, "with their parent"
    assert models(home) == {"toy-study": [1]}, "the one of the other store"


def test_runs_that_have_not_ended_stay(home: Home, tmp_path: Path) -> None:
    plan = make_plan(tmp_path)
    finish(home, plan)
    seen = Seen(home)
    running = next(iter(seen.children.values()))
    seen.client.update_run(running.info.run_id, status="RUNNING")
    found = find(home)
    assert found.left == {("toy-study", "running"): 1}
    assert {old.run.info.run_id for old in found.runs} == {run.info.run_id for run in seen.children.values()} - {
        running.info.run_id
    }


def test_killed_runs_go_if_the_store_has_any_stage_of_theirs(home: Home, tmp_path: Path) -> None:
    run = ToyRun(home, make_plan(tmp_path))
    run.begin()
    run.compute(next(stage for stage in run.plan.stages.values() if stage.kind == "train"))
    run.tracker.abort()
    found = find(home)
    assert (len(found.runs), found.left) == (2, {("toy-study", "elsewhere"): 2})


def test_nothing_is_deleted_where_the_models_cannot_be_told(home: Home, tmp_path: Path) -> None:
    """Their versions might point to what would go."""
    finish(home, make_plan(tmp_path))
    keys = dict.fromkeys(Store(home.store_url).known())
    with closing(sqlite3.connect(home.tracking_uri.removeprefix("sqlite:///"))) as database:
        database.execute("drop table model_version_tags")
        database.execute("drop table model_versions")
    found = find_old(home, (), 0.0, StoredKeys(keys, {"toy-study"}, keys))
    assert found.problem is not None
    assert delete_old(home, found) == Found(problem=found.problem)
    assert len(Seen(home).runs) == 5


def test_what_is_young_stays_untold(home: Home, tmp_path: Path) -> None:
    finish(home, make_plan(tmp_path))
    assert find(home, going=False, older_than_s=3600) == Found()
