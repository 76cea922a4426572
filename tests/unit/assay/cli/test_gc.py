"""`assay gc`: what it prints before it deletes anything, what it deletes, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assay.home import Home
from tracking_database import with_database

Assay = Callable[..., Any]
NO_AGE = ("--older-than", "0h")


@pytest.fixture
def two(assay: Assay, project: Path) -> Path:
    """A project with two sweeps that share an arm, both of them run; norms also in its profile, and with --set."""
    norms = (project / "sweeps/norms.yaml").read_text()
    other = norms.replace("name: norms", "name: other").replace("addition:", "deaf: {train.deaf: true}\n  addition:")
    (project / "sweeps/other.yaml").write_text(other)
    for args in (("norms",), ("norms", "--profile", "smoke", "--set", "seeds=[3]"), ("other",)):
        assert assay("run", *args).code == 0
    return project


@pytest.mark.slow
def test_a_preview_deletes_nothing_and_yes_what_it_said(assay: Assay, two: Path) -> None:
    preview = assay("gc", "--keep", "norms", *NO_AGE)
    assert preview.code == 0
    lines = preview.out.splitlines()
    assert any(line.startswith("other ") and "results: train, " in line for line in lines)
    assert any(line.startswith("other ") and "checkpoints and shards" in line for line in lines)
    assert not any(line.startswith("norms") for line in lines)
    assert lines[-1].startswith("Nothing was deleted. To free ")
    said = json.loads(assay("gc", "--keep", "norms", *NO_AGE, "--preview", "--json").out)
    assert not said["deleted"]
    assert len(said["items"]) > 0
    deleted = json.loads(assay("gc", "--keep", "norms", *NO_AGE, "--yes", "--json").out)
    assert deleted["deleted"]
    assert deleted["items"] == said["items"]
    assert not any((two / ".assay/store" / item["path"]).exists() for item in deleted["items"])
    assert assay("gc", "--keep", "norms", *NO_AGE, "--yes").out.splitlines()[-1] == "Nothing to delete."
    for args in (("norms",), ("norms", "--profile", "smoke", "--set", "seeds=[3]")):
        assert json.loads(assay("run", *args, "--json").out)["computed"] == 0
    assert (two / ".assay/reports/other/report.html").is_file()
    assert "0 faults" in assay("doctor").out


@pytest.mark.slow
def test_what_is_younger_than_a_day_stays_by_default(assay: Assay, two: Path) -> None:
    lines = assay("gc", "--keep", "norms").out.splitlines()
    assert lines[-1] == "Nothing to delete."
    assert lines[0].endswith(" younger than 1d, or what these were computed from.")
    assert lines[0].startswith("stays: ")


@pytest.mark.slow
def test_several_sweeps_may_be_kept_in_either_spelling(assay: Assay, two: Path) -> None:
    for args in (("--keep", "norms", "other"), ("--keep", "norms", "--keep", "other")):
        assert assay("gc", *args, *NO_AGE).out.splitlines()[-1] == "Nothing to delete."


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "gc: got no sweep to keep, allowed: one or more, as in --keep quickstart"),
        (("norms",), "gc: got norms without --keep, allowed: sweeps to keep after --keep"),
        (("--keep", "nomrs"), "nomrs: no such sweep file, here or in sweeps/; did you mean 'norms'?"),
        (("--keep", "norms", "--older-than", "30"), "--older-than: got '30', allowed: hours, days or weeks, as in 12h"),
        (("--keep", "norms", "--yes", "--preview"), "gc: got --preview and --yes; give only one of them"),
    ],
)
def test_what_is_refused(assay: Assay, args: tuple[str, ...], message: str) -> None:
    refused = assay("gc", *args)
    assert refused.code == 2
    assert refused.err.startswith(message)


@pytest.mark.slow
def test_runs_of_other_sweeps_go_from_mlflow_with_their_artifacts(assay: Assay, project: Path) -> None:
    (project / "sweeps/other.yaml").write_text(
        (project / "sweeps/norms.yaml").read_text().replace("name: norms", "name: other")
    )
    home = with_database(Home(project / ".assay"))
    for name in ("norms", "other"):
        assert assay("run", name).code == 0
        assert assay("sync", name).code == 0
    assert len(list((home.artifacts / "other").iterdir())) == 5
    said = json.loads(assay("gc", "--keep", "norms", *NO_AGE, "--json").out)
    (row,) = [row for row in said["by_sweep"] if row["what"] == "mlflow"]
    assert (row["sweep"], row["count"]) == ("other", 5)
    assert row["bytes"] > 0
    (model,) = [item["path"] for item in said["items"] if item["what"] == "models"]
    assert model == "models:/other/1"
    lines = assay("gc", "--keep", "norms", *NO_AGE).out.splitlines()
    assert any(line.startswith("other ") and "registered models: other " in line for line in lines)
    assert assay("gc", "--keep", "norms", *NO_AGE, "--yes").code == 0
    assert list((home.artifacts / "other").iterdir()) == []
    assert len(list((home.artifacts / "norms").iterdir())) == 5
    assert len(json.loads(assay("gc", "--keep", "norms", *NO_AGE, "--json").out)["items"]) == 0
    assert assay("sync", "other").code == 0, "the next command makes them again"
    again = json.loads(assay("gc", "--keep", "norms", *NO_AGE, "--json").out)
    assert [item["what"] for item in again["items"]].count("mlflow") == 5
    assert again["mlflow_left"] == []
