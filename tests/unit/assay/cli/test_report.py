"""`assay report` and `assay sync`: the page, and MLflow built again from the store."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assay.cli import main
from assay.home import Home
from assay.tracking.client import mlflow_client

pytestmark = pytest.mark.slow

Assay = Callable[..., Any]
Runs = dict[str, tuple[str, dict[str, str], dict[str, float], dict[str, str]]]


def logged() -> Runs:
    """Name → (status, parameters, metrics, tags) of every run of norms in MLflow."""
    client = mlflow_client(Home.default().tracking_uri)
    found = client.search_runs([client.get_experiment_by_name("norms").experiment_id])
    told = ("assay.computed", "assay.key", "assay.best", "mlflow.note.content")
    return {
        run.info.run_name: (
            run.info.status,
            dict(run.data.params),
            dict(run.data.metrics),
            {name: value for name, value in run.data.tags.items() if name in told},
        )
        for run in found
    }


def test_a_run_writes_the_page_and_report_writes_it_again(assay: Assay, project: Path) -> None:
    first = assay("run", "norms")
    assert "report:  .assay/reports/norms/report.html" in first.out
    page = project / ".assay/reports/norms/report.html"
    content = page.read_bytes()
    beside = page.with_name("interactive.html")
    page.unlink()
    beside.unlink()
    told = assay("report", "norms").out
    assert beside.is_file()
    assert told.startswith(".assay/reports/norms/report.html: 4 trials, 4 with a result, ")
    assert told.endswith("MLflow: norms is not there yet; `assay sync` shows what is stored\n"), "it ran untracked"
    assert page.read_bytes() == content
    told = json.loads(assay("report", "norms", "--output", "elsewhere/norms.html", "--json").out)
    assert told == {
        "page": "elsewhere/norms.html",
        "trials": 4,
        "with_result": 4,
        "bytes": len(alone := content.replace(b'<a href="interactive.html">Interactive</a>', b"")),
        "mlflow": None,
    }
    assert Path("elsewhere/norms.html").read_bytes() == alone, "one file links to none"
    assert len(alone) < len(content)


def test_the_page_of_what_never_ran_says_so(assay: Assay, project: Path) -> None:
    result = assay("report", "norms", "--profile", "smoke")
    assert (result.code, "4 trials, 0 with a result" in result.out) == (0, True)
    assert (project / ".assay/reports/norms@smoke/report.html").is_file()
    (project / "file").touch()
    assert assay("report", "norms", "-o", "file/report.html").code == 3


def test_sync_builds_mlflow_again_as_the_run_left_it(
    assay: Assay, project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert main(["run", "norms", "--executor", "inline"]) == 0
    before = logged()
    assert len(before) == 5
    assert before["AdaGN, scale 0.0"][3]["assay.computed"] == "train, sample, reference, evaluate"
    pages = list((project / ".assay/mlflow-artifacts").rglob("report.html"))
    pages[0].unlink()
    assert assay("report", "norms").out.endswith("MLflow: the report is on the run norms\n")
    assert [page.is_file() for page in pages] == [True]
    assert logged() == before, "nothing else is touched"
    # Another file: MLflow keeps the database of a process open.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'again.db'}")
    shutil.rmtree(project / ".assay/mlflow-artifacts")
    result = assay("sync")
    assert (result.code, result.out) == (0, "norms: 4 trials in MLflow\n")
    assert logged() == before
    for page in ("report.html", "interactive.html"):
        assert list((project / ".assay/mlflow-artifacts").rglob(page)), "it is on the parent run"
    assert json.loads(assay("sync", "norms", "--json").out)["synced"] == {"norms": 4}


def test_a_tracking_server_that_is_down_stops_nothing_and_sync_makes_up_for_it(
    assay: Assay, project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    assert main(["run", "norms", "--executor", "inline", "--plain"]) == 0
    out = capfd.readouterr().out
    assert "could not be written to" in out
    assert "`assay sync`" in out
    assert "AdaGN, scale 0.0" in out, "the table is there"
    down = assay("sync")
    assert (down.code, "norms: " in down.out, "could not be written to" in down.out) == (3, True, True)
    report = assay("report", "norms")
    assert (report.code, "MLflow: http://127.0.0.1" in report.out) == (0, True)
    assert "could not be written to" in report.out
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert assay("sync").code == 0
    assert logged()["norms"][0] == "FINISHED"


def test_sync_says_which_sweep_it_cannot_find(assay: Assay, project: Path) -> None:
    assert assay("sync").out.startswith("No sweep has a report in .assay yet.")
    assay("run", "norms")
    (project / "sweeps/norms.yaml").unlink()
    result = assay("sync")
    assert result.code == 3
    assert "no such sweep file" in result.out
    assert "Run this where the sweep was run, or give its file: assay sync SWEEP" in result.out


FOREIGN = {
    "list": "[]",
    "nothing": "null",
    "no-trials": '{"trials": null}',
    "another-program": '{"sweep": "x", "profile": null, "file": "x", "sets": [], "metric": 1, "trials": [1]}',
    "cut-off": '{"trials": [',
    "no-text": "\udcff",
}


def test_a_file_that_is_no_report_is_none_to_ls_and_named_by_sync(assay: Assay, project: Path) -> None:
    for name, text in FOREIGN.items():
        file = project / f".assay/reports/{name}/report.json"
        file.parent.mkdir(parents=True)
        file.write_text(text, encoding="utf-8", errors="surrogateescape")
    (project / ".assay/reports/folder/report.json").mkdir(parents=True)
    result = assay("ls")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("Nothing yet in .assay.")
    result = assay("sync", "--json")
    assert result.code == 3
    told = json.loads(result.out)["troubles"]
    assert told.keys() == {*FOREIGN, "folder"}
    assert all(f"reports/{name}/report.json is not a report of a sweep: " in told[name] for name in FOREIGN)
    assert told["folder"].endswith("report.json cannot be read: Is a directory")


def test_ls_names_the_best_that_the_table_names(assay: Assay, project: Path) -> None:
    """Over seeds an arm, by its mean."""
    with (project / "sweeps/norms.yaml").open("a") as file:
        file.write("seeds: [0, 1]\n")
    assay("run", "norms")
    (listed,) = json.loads(assay("ls", "--json").out)["sweeps"]
    arm = json.loads(assay("compare", "norms", "--json").out)["sweeps"][0]["arms"][0]
    assert (listed["best"], listed["best_value"]) == (arm["arm"], arm["mean"]) == ("AdaGN, scale 0.0", 1.0)
