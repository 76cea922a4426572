"""A workload's own words: what it counts, what its trainings log, and the device whose days its costs are given in."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from installed import install

Assay = Callable[..., Any]
SWEEP = """\
version: 1
name: widths
workload: tokens
base: tiny
parameters:
  train.width: {values: [1, 2]}
metric: perplexity
mode: min
limits: {device_days: 5}
report:
  plots:
    - {kind: scatter, x: device_days, y: perplexity}
"""
OF_IMAGES = re.compile(r"(?<![a-z])(images?|img|fid|sample|samples|v100\w*|loss)(?![a-z])", re.IGNORECASE)


@pytest.fixture
def widths(project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A study of a workload of tokens, beside the toy's."""
    install(tmp_path / "tokens", monkeypatch, "tokens", "", {"assay.workloads": "tokens = tokens_workload:workload"})
    file = project / "sweeps" / "widths.yaml"
    file.write_text(SWEEP)
    return file


@pytest.mark.slow
@pytest.mark.usefixtures("widths")
def test_a_workload_of_tokens_hears_no_word_of_images(assay: Assay, project: Path) -> None:
    before = assay("plan", "widths").out
    assert "device-days" in before
    assert "20 tokens" in before
    ran = assay("run", "widths")
    assert ran.code == 0, ran.err
    table = assay("compare", "widths").out
    assert re.search(r"\bN\b.*\bdevice-days\b", table)
    cost = assay("compare", "widths", "--cost").out
    assert " tok/s" in cost
    assert re.search(r"charged: 6 stages, .* device-days \(each stage once\)", cost)
    folder = project / ".assay" / "reports" / "widths"
    assert {file.name for file in folder.glob("*.png")} == {"curves.png", "perplexity-by-device_days-scatter.png"}
    page = re.sub(r"<style>.*?</style>|<[^>]*>", " ", (folder / "report.html").read_text(), flags=re.DOTALL)

    rows = json.loads(assay("compare", "widths", "--json").out)["sweeps"][0]["trials"]
    assert [(row["num_tokens"], row["device_days"] > 0) for row in rows] == [(20, True)] * 2
    (sheet,) = json.loads(assay("compare", "widths", "--cost", "--json").out)["sweeps"]
    trained = next(stage for stage in sheet["stages"] if stage["stage"] == "train")
    assert (trained["done"], trained["items"], trained["item_unit"]) == (8, 8 * 64, "tokens")
    assert trained["device_days"] == pytest.approx(trained["seconds"] / 86_400)
    assert sheet["charged"]["unknown_stages"] == 0, "without a device of reference, each counts as it is"
    planned = json.loads(assay("plan", "widths", "--json").out)["stages"]
    assert {"device_days", "device_days_by"} <= planned[0].keys()
    for text in (before, ran.out, table, cost, page, *map(json.dumps, (rows, sheet, planned))):
        assert not OF_IMAGES.findall(text)


def test_a_limit_is_in_the_days_that_the_workload_counts(assay: Assay, project: Path, widths: Path) -> None:
    widths.write_text(SWEEP.replace("device_days: 5", "v100_days: 5"))
    assert (
        "widths.yaml:9: limits.v100_days: unknown key; did you mean 'device_days'?" in assay("validate", "widths").err
    )
    norms = project / "sweeps" / "norms.yaml"
    norms.write_text(norms.read_text() + "limits: {device_days: 5}\n")
    assert "limits.device_days: unknown key; did you mean 'v100_days'?" in assay("validate", "norms").err
    norms.write_text(norms.read_text().replace("device_days", "v100_days").replace("workload: toy", "workload: tou"))
    refused = assay("validate", "norms").err
    assert "unknown workload 'tou'" in refused
    assert "v100_days" not in refused, "whose days it would count is not known"


@pytest.mark.slow
@pytest.mark.usefixtures("widths")
def test_sweeps_of_two_workloads_are_in_one_table_without_a_sum_of_their_days(assay: Assay) -> None:
    for sweep in ("widths", "norms"):
        assay("run", sweep)
    header, *lines = assay("compare", "widths", "norms", "--cost", "--csv").out.splitlines()
    assert header.endswith("stored_before,v100_days")
    assert {line.split(",")[0] for line in lines} == {"widths", "norms"}
