"""Dollars in `plan`, `compare --cost` and the report, by the prices in the home's settings."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Assay = Callable[..., Any]
PRICES = 'prices: [{device: cpu, usd_per_hour: 36000, date: 2026-11-30, source: "ours, by the hour"}]\n'


def settings(project: Path, text: str) -> None:
    (project / ".assay").mkdir(exist_ok=True)
    (project / ".assay/settings.yaml").write_text(text)


def test_without_prices_nothing_speaks_of_dollars(assay: Assay) -> None:
    assert "USD" not in (out := assay("plan", "norms").out)
    assert "$" not in out
    assert {stage["usd"] for stage in json.loads(assay("plan", "norms", "--json").out)["stages"]} == {None}


def test_a_plan_says_whose_price_is_unknown_and_that_a_run_would_be_refused(assay: Assay, project: Path) -> None:
    settings(project, "prices: [{device: T4, usd_per_hour: 1, date: 2026-11-30, source: a}]\n")
    lines = assay("plan", "norms", "--set", "limits.usd=3").out.splitlines()
    assert "price of cpu: unknown on demand; add it to `prices` in the home's settings.yaml" in lines
    assert any(line.endswith("; dollars unknown.") for line in lines)
    assert lines[-1].startswith("limits.usd: got 3, but the price of cpu is unknown; add it")
    assert lines[-1].endswith("Until then, a run is refused.")


@pytest.mark.slow
def test_a_study_is_priced_before_and_after_it_ran(assay: Assay, project: Path) -> None:
    settings(project, PRICES)
    ran = assay("run", "norms", "--executor", "inline", "--no-tracking")
    assert ran.code == 0
    planned = assay("plan", "norms", "--set", "train.iterations=40").out
    assert "price of cpu: $36,000 per hour on demand, 2026-11-30, ours, by the hour" in planned
    assert "by these prices" in planned
    spent = json.loads(assay("compare", "norms", "--cost", "--json").out)["sweeps"][0]
    assert spent["market"] == "on_demand"
    assert spent["charged"]["unpriced_stages"] == 0
    whole = sum(10 * stage["seconds"] * stage["count"] for stage in spent["stages"])
    assert spent["charged"]["usd"] == pytest.approx(whole) == sum(stage["usd"] for stage in spent["stages"])
    shown = assay("compare", "norms", "--cost").out
    assert "USD" in shown
    assert "price of cpu: $36,000 per hour on demand, 2026-11-30, ours, by the hour" in shown
    folder = project / ".assay/reports/norms"
    assert json.loads((folder / "report.json").read_text())["cost"]["charged"]["usd"] == pytest.approx(whole)
    assert "price of cpu: $36,000 per hour" in (folder / "report.html").read_text()
    settings(project, PRICES + "market: spot\n")
    assert "dollars unknown" in assay("compare", "norms", "--cost").out
