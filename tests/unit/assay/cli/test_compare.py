"""`assay compare` as a user gives it: several sweeps, CSV, JSON, and what they cost."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

Assay = Callable[..., Any]


@pytest.fixture
def others(project: Path) -> None:
    """Beside norms: another study of the same, which adds an arm."""
    text = (project / "sweeps" / "norms.yaml").read_text()
    more = text.replace("name: norms", "name: scales").replace("[0.0, 1.0]", "[0.0, 2.0]")
    (project / "sweeps" / "scales.yaml").write_text(more)


def test_what_several_sweeps_share_is_charged_to_the_one_that_computed_it(assay: Assay, others: None) -> None:
    assert assay("run", "norms").code == 0
    assert assay("run", "scales").code == 0
    first, second = json.loads(assay("compare", "norms", "scales", "--cost", "--json").out)["sweeps"]
    assert all(not stage["stored_before"] for stage in first["stages"])
    assert (first["charged"]["stages"], first["saved"]["caching"]["stages"]) == (11, 0)
    assert first["saved"]["sharing"]["stages"] == 2 + 3, "two trainings and the reference"
    found = {stage["stage"] for stage in second["stages"] if stage["stored_before"]}
    assert found == {"train", "reference", "sample", "evaluate"}
    assert (second["charged"]["stages"], second["saved"]["caching"]["stages"]) == (4, 7)
    assert second["charged"]["v100_days"] is None
    assert second["charged"]["unknown_stages"] == 4
    assert assay("run", "scales").code == 0, "again: nothing is computed, and the charge stays"
    (again,) = json.loads(assay("compare", "scales", "--cost", "--json").out)["sweeps"]
    assert again["charged"] == second["charged"]


def test_the_cost_is_a_table_for_people_and_for_programs(assay: Assay) -> None:
    assay("run", "norms")
    text = assay("compare", "norms", "--cost").out
    assert "norms: what it cost" in text
    assert "charged: 11 stages, " in text
    assert "V100-days unknown" in text
    assert "saved by sharing: 5 stages" in text
    assert "saved by caching" not in text
    rows = list(csv.DictReader(io.StringIO(assay("compare", "norms", "--cost", "--csv").out)))
    assert len(rows) == 11
    assert {row["stage"] for row in rows} == {"train", "sample", "reference", "evaluate"}
    assert {row["v100_days"] for row in rows} == {""}, "unknown, and not 0"


def test_several_sweeps_are_compared_one_by_one_and_together(assay: Assay, others: None) -> None:
    assay("run", "norms")
    assay("run", "scales")
    text = assay("compare", "norms", "scales").out
    assert [line.split(":")[0] for line in text.splitlines() if "smaller is better" in line] == [
        "norms",
        "scales",
        "norms + scales",
    ]
    told = json.loads(assay("compare", "norms", "scales", "--json").out)
    assert [trial["rank"] for trial in told["joint"]["trials"]] == list(range(1, 9))
    rows = list(csv.DictReader(io.StringIO(assay("compare", "norms", "scales", "--csv").out)))
    assert [row["sweep"] for row in rows] == ["norms"] * 4 + ["scales"] * 4
    (alone,) = list(csv.DictReader(io.StringIO(assay("compare", "norms", "--csv").out)))[:1]
    assert "sweep" not in alone
    assert alone["distance"] == "1.0"


def test_two_files_of_one_name_are_told_apart_by_their_files(assay: Assay, project: Path) -> None:
    """Over seeds, too: an arm of one file is not that of the other, though it has the same name."""
    file = project / "sweeps/norms.yaml"
    text = file.read_text().replace("parameters:\n  sample.scale: {values: [0.0, 1.0]}\n", "seeds: [0, 1]\n")
    file.write_text(text)
    (project / "sweeps/scaled.yaml").write_text(text.replace("base: tiny", "base: tiny\nconfig: {sample.scale: 5.0}"))
    assert assay("run", "norms").code == 0
    assert assay("run", "scaled").code == 0
    told = json.loads(assay("compare", "norms", "scaled", "--json").out)
    assert [sweep["sweep"] for sweep in told["sweeps"]] == ["sweeps/norms.yaml", "sweeps/scaled.yaml"]
    means = {arm["arm"]: arm["mean"] for arm in told["joint"]["arms"]}
    assert means == {
        "sweeps/norms.yaml: AdaGN": 1.0,
        "sweeps/norms.yaml: addition": 2.0,
        "sweeps/scaled.yaml: AdaGN": 6.0,
        "sweeps/scaled.yaml: addition": 7.0,
    }
    costs = json.loads(assay("compare", "norms", "scaled", "--cost", "--json").out)["sweeps"]
    assert [sheet["sweep"] for sheet in costs] == ["sweeps/norms.yaml", "sweeps/scaled.yaml"]
    (alone,) = json.loads(assay("compare", "norms", "--json").out)["sweeps"]
    assert alone["sweep"] == "norms"


def test_json_and_csv_are_not_both(assay: Assay) -> None:
    result = assay("compare", "norms", "--csv", "--json")
    assert result.code == 2
    assert "give only one of them" in result.err


def test_what_failed_is_said_as_the_run_said_it(assay: Assay, project: Path) -> None:
    file = project / "sweeps/norms.yaml"
    file.write_text(file.read_text().replace("addition: {model.norm: add}", "addition: {sample.fail: true}"))
    ran = assay("run", "norms")
    assert ran.code == 1
    (said,) = [line for line in ran.out.splitlines() if "scale 0.0: stage sample failed: " in line]
    text = assay("compare", "norms").out
    assert said in text.splitlines()
    (log,) = [path for path in (project / ".assay/reports/norms/errors").glob("sample-*.log") if path.stem[7:] in said]
    assert "not finished" not in text
    assert "no ink" in log.read_text()
    (sweep,) = json.loads(assay("compare", "norms", "--json").out)["sweeps"]
    assert [trial["failure"] is not None for trial in sweep["trials"]] == [False, False, True, True]
    page = project / ".assay/reports/norms/report.html"
    before = page.read_text()
    assert log.name in before
    assert assay("report", "norms").code == 0
    assert page.read_text() == before
