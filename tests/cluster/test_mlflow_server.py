"""A sweep that is tracked on a shared server: MLflow with its own users, PostgreSQL behind it, killed in the middle."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assay.tracking.client import mlflow_client
from job_site import installed
from mlflow_on_postgres import Postgres, Server, postgres_programs
from terminal import User

PROGRAMS = postgres_programs()
pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(PROGRAMS is None, reason="needs PostgreSQL (apt-get install postgresql)"),
]

SWEEP = """\
version: 1
name: shared
workload: toy
base: tiny
arms:
  first: {{model.norm: adagn}}
  second: {{model.norm: add, train.gates: {gates}/second}}
  third: {{model.norm: add, train.gates: {gates}/third}}
parameters:
  sample.scale: {{values: [0.0, 1.0]}}
metric: distance
mode: min
"""
ARMS = {f"{arm}, scale {scale}": arm for arm in ("first", "second", "third") for scale in ("0.0", "1.0")}
STAGES_OF_AN_ARM = 5
"""train, and for each of two scales sample and evaluate. The reference is everybody's."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    assert PROGRAMS is not None
    postgres = Postgres(PROGRAMS)
    server = Server(postgres, tmp_path_factory.mktemp("server"))
    server.start()
    yield server
    server.kill()
    postgres.stop()


@pytest.fixture
def user(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> User:
    """Has the toy workload installed, a sweep of three arms, two of which wait at a gate, and a password."""
    monkeypatch.setenv("PYTHONPATH", str(installed(tmp_path / "site")))
    for name, value in server.client_environment().items():
        monkeypatch.setenv(name, value)
    for arm in ("second", "third"):
        (tmp_path / "gates" / arm).mkdir(parents=True)
        (tmp_path / "gates" / arm / "shut-3").touch()
    return User(tmp_path, SWEEP.format(gates=tmp_path / "gates"))


class Seen:
    """What the server shows, asked with MLflow's own client and the user's password."""

    def __init__(self, server: Server, name: str = "shared") -> None:
        self.client = mlflow_client(server.url)
        experiment = self.client.get_experiment_by_name(name)
        runs = self.client.search_runs([experiment.experiment_id]) if experiment else []
        self.children = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
        self.parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]

    def finished(self) -> list[str]:
        return sorted(run.info.run_name for run in self.children if run.info.status == "FINISHED")

    def files(self, run: Any) -> set[str]:
        return {file.path for file in self.client.list_artifacts(run.info.run_id)}


def open_gate(user: User, arm: str) -> None:
    (user.folder / "gates" / arm / "shut-3").unlink()


def committed(user: User) -> int:
    return len(user.records())


def test_the_server_lets_in_who_knows_the_password_and_calls_it_by_its_name(server: Server) -> None:
    search = "/api/2.0/mlflow/experiments/search?max_results=1"
    assert server.answer(search) == 401
    assert server.answer("/health", {"Host": "elsewhere.example"}) == 200, "what watches over it needs no password"
    assert server.answer(search, {"Host": "elsewhere.example"}) == 403, "a page elsewhere cannot use a browser to ask"


def test_a_sweep_outlives_the_server_it_is_tracked_on_and_all_of_it_is_there_in_the_end(
    server: Server, user: User
) -> None:
    process = user.start("run", "sweep.yaml", "--plain", "--executor", "inline")
    user.until(process, lambda: committed(user) == 1 + STAGES_OF_AN_ARM)
    user.until(process, lambda: Seen(server).finished() == [name for name, arm in ARMS.items() if arm == "first"])
    server.kill()
    open_gate(user, "second")  # its results are made and stored while nobody tracks them
    user.until(process, lambda: committed(user) == 1 + 2 * STAGES_OF_AN_ARM)
    server.start()
    open_gate(user, "third")
    output, errors = process.communicate()
    assert process.returncode == 0, output + errors
    assert "MLflow" in output + errors, "the user is told that the server was away"

    seen = Seen(server)
    assert seen.finished() == list(ARMS)
    assert [run.info.status for run in seen.parents] == ["FINISHED"]
    for run in seen.children:
        arm, scale = ARMS[run.info.run_name], float(run.data.params["sample.scale"])
        assert run.data.metrics["distance"] == {"first": 1.0, "second": 2.0, "third": 2.0}[arm] + scale
        curve = seen.client.get_metric_history(run.info.run_id, "train/loss")
        assert [point.step for point in curve] == list(range(1, 21)), "every step once"
        assert {"config.yaml", "samples.png"} <= seen.files(run)
    secret = server.password
    assert secret not in output + errors + server.log.read_text()
    assert not any(secret in str(run.data.to_dictionary()) for run in [*seen.children, *seen.parents])


def test_a_wrong_password_costs_no_result_and_the_right_one_shows_it_all(
    server: Server, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    user.sweep.write_text(user.sweep.read_text().replace("name: shared", "name: refused"))
    for arm in ("second", "third"):
        open_gate(user, arm)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "not the password")
    process = user.start("run", "sweep.yaml", "--plain", "--executor", "inline")
    output, errors = process.communicate()
    assert process.returncode == 0, output + errors
    assert "401" in output + errors
    assert committed(user) == 1 + 3 * STAGES_OF_AN_ARM
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", server.password)
    assert not Seen(server, "refused").children
    user.run("run", "sweep.yaml", "--plain", "--executor", "inline")
    assert Seen(server, "refused").finished() == list(ARMS)
