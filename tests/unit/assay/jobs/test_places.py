"""What a job is told of the places that this shell knows: those alone that are the same on the cluster's machines."""

from __future__ import annotations

from pathlib import Path

import pytest

import toy_workload
from assay.errors import UserError
from assay.jobs import places
from assay.sweep import load_sweep

SWEEP = """\
version: 1
name: norms
workload: toy
base: tiny
config: {train.gates: "%s"}
metric: distance
mode: min
"""


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ASSAY_STORE", "s3://key:hunter2@bucket/x"),
        ("ASSAY_STORE", "https://host/x?token=hunter2"),
        ("MLFLOW_TRACKING_URI", "http://me:hunter2@mlflow:5000"),
    ],
)
def test_credentials_in_an_address_are_refused_and_not_repeated(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(UserError, match="credentials") as refusal:
        places.environment(places.locations(None))
    assert "hunter2" not in str(refusal.value)


def test_where_results_go(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ASSAY_HOME", "ASSAY_STORE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    assert places.locations(None).results == "~/.assay/store"
    with pytest.raises(UserError, match="--store: got 'results', allowed: an absolute path"):
        places.locations("results")
    monkeypatch.setenv("ASSAY_HOME", ".assay")  # a place of this machine's, and nobody else's
    assert places.locations(None).results == "~/.assay/store"
    monkeypatch.setenv("ASSAY_HOME", "/shared/me")
    assert places.locations(None).results == "/shared/me/store"
    monkeypatch.setenv("ASSAY_STORE", "s3://bucket/here")
    assert places.locations(None).results == "s3://bucket/here"
    assert places.locations("/elsewhere").results == "/elsewhere"
    told = places.environment(places.locations(None))
    assert (told["ASSAY_HOME"], told["ASSAY_STORE"]) == ("/shared/me", "s3://bucket/here")
    assert "MLFLOW_TRACKING_URI" not in told


@pytest.mark.parametrize(
    "uri",
    [
        *(
            "http://127.0.0.1:5000",
            "http://localhost:5000/",
            "https://127.8.0.1",
            "http://[::1]:5000",
            "http://0.0.0.0:80",
        ),
        *("sqlite:////shared/mlflow.db", "file:///shared/mlruns", "/shared/mlruns", "mlruns"),
    ],
)
def test_a_tracking_server_of_this_machine_is_not_for_the_cluster(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert "MLFLOW_TRACKING_URI" not in places.environment(places.locations(None))
    said = places.remark()
    assert said is not None
    assert "MLFLOW_TRACKING_URI refers to this machine only" in said


@pytest.mark.parametrize(
    "uri", ["http://mlflow:5000", "https://mlflow.example.org", "http://10.0.0.7:5000", "databricks"]
)
def test_a_tracking_server_that_others_reach_is(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert places.environment(places.locations(None))["MLFLOW_TRACKING_URI"] == uri
    assert places.remark() is None


def test_the_interval_of_live_curves_is_that_of_this_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ASSAY_LIVE_SECONDS", raising=False)
    assert "ASSAY_LIVE_SECONDS" not in places.environment(places.locations(None))
    monkeypatch.setenv("ASSAY_LIVE_SECONDS", "60")
    assert places.environment(places.locations(None))["ASSAY_LIVE_SECONDS"] == "60"
    monkeypatch.setenv("ASSAY_LIVE_SECONDS", "often")
    with pytest.raises(UserError, match="ASSAY_LIVE_SECONDS: got 'often'"):
        places.environment(places.locations(None))


def test_a_path_from_here_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "given").mkdir()
    (tmp_path / "add").mkdir()
    (tmp_path / "given" / "model.pt").touch()
    file = tmp_path / "norms.yaml"

    def refuse(text: str) -> None:
        file.write_text(SWEEP % text)
        places.refuse_paths_from_here(load_sweep(file, find_workload=lambda name: toy_workload.workload))

    for text in ("given/model.pt", "./given", f"../{tmp_path.name}/given"):
        with pytest.raises(
            UserError, match=r"config\.train\.gates: .*: relative paths on this machine, allowed: absolute paths"
        ):
            refuse(text)
    for text in (str(tmp_path / "given"), "add", "s3://given/model.pt", "nowhere/here", ""):
        refuse(text)
