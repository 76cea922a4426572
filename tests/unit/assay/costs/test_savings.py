"""What a study cost and saved: shared stages, stages that were there before, rungs that were spared."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from assay.costs.devices import SECONDS_PER_DAY, DeviceDays
from assay.costs.savings import cost_sheet
from assay.planning import Plan, PlannedTrial, Rung
from assay.report.tables.costs import cost_as_csv, cost_as_rich
from assay.store import Cost, Decision, Store, StoredResult
from assay.sweep import Sweep, Trial
from assay.sweep.arms import Base
from assay.workload import Budget, ReportHints, Stage

V100 = "Tesla V100-SXM2-16GB"
SWEEP = {"version": 1, "name": "s", "workload": "w", "base": "b", "metric": "fid", "mode": "min"}


class Study:
    """Arms that share a training; each draws 10 images, then 30."""

    def __init__(self, folder: Path, arms: int, decided: Mapping[int, Decision] | None = None) -> None:
        self.store = Store(folder)
        self.results: dict[str, StoredResult] = {}
        train = Stage("train", 1, "train", ("m:f",), {}, budget=Budget("train.iterations", 100, "iterations"))
        workload: Any = SimpleNamespace(report=ReportHints(("fid",), days=DeviceDays("V100")))
        trials = []
        for index in range(arms):
            rungs = []
            for amount in (10, 30):
                budget = Budget("evaluate.num_samples", amount, "images")
                sample = Stage("sample", 1, "reduce", ("m:f",), {"arm": index}, {"model": train}, budget=budget)
                rungs.append(Rung(amount, (train, sample)))
            trial = Trial(index, f"arm {index}", None, {}, {}, 0, {}, Base(workload, "b"))
            trials.append(PlannedTrial(trial, tuple(rungs)))
        leaves = {trials[i].rungs[0].leaf.key: d for i, d in (decided or {}).items()}
        sweep = Sweep.model_validate(SWEEP)
        sweep._workload = workload
        self.plan = Plan(sweep, tuple(trials), leaves)

    def commit(self, stage: Stage, device: str, seconds: float, items: int) -> str:
        with self.store.staging() as output:
            cost = Cost(device, 1, seconds, {"items": items})
            self.results[stage.key] = self.store.commit(stage, output, {"fid": 1.0}, cost)
        return stage.key


@pytest.mark.parametrize("device", [V100, "cpu (x86_64)"])
def test_sharing_caching_and_early_stopping_are_summed_up_apart(tmp_path: Path, device: str) -> None:
    study = Study(tmp_path, arms=3, decided={1: "stop", 2: "stop"})
    first, second, third = study.plan.trials
    train = study.commit(first.stages[0], device, 100.0, 100)
    own = {study.commit(t.rungs[0].leaf, device, 10.0, 10) for t in (first, second, third)}
    own.add(study.commit(first.leaf, device, 20.0, 20))
    sheet = cost_sheet(study.plan, study.results, own)
    assert [(c.entry.stage, c.budget, c.trials, c.is_found) for c in sheet.charges] == [
        ("train", "100 iterations", 3, True),
        ("sample", "10 images", 1, False),
        ("sample", "30 images", 1, False),
        ("sample", "10 images", 1, False),
        ("sample", "10 images", 1, False),
    ]
    saved = sheet.savings
    assert sheet.total.device_seconds == 50.0
    assert saved.sharing.device_seconds == 200.0, "the training, for two other trials"
    assert saved.caching.device_seconds == 100.0, "the training, which was there"
    assert saved.early_stopping.device_seconds == pytest.approx(40.0), "two rungs of 20 images, at a second each"
    assert saved.early_stopping.stages == 2
    if device == V100:
        assert saved.sharing.device_days == pytest.approx(200 / SECONDS_PER_DAY)
        assert saved.early_stopping.device_days == pytest.approx(40 / SECONDS_PER_DAY)
        assert (sheet.total.unknown, saved.early_stopping.unknown) == (0, 0)
    else:
        assert (sheet.total.device_days, sheet.total.unknown, sheet.total.unknown_device_seconds) == (0, 4, 50.0)
        assert saved.early_stopping.unknown == 2
    assert train in study.results


def test_many_stages_are_summed_up_by_kind_on_a_terminal(tmp_path: Path) -> None:
    study = Study(tmp_path, arms=41)
    for trial in study.plan.trials:
        study.commit(trial.stages[0], V100, 100.0, 100)
        study.commit(trial.rungs[0].leaf, V100, 10.0, 10)
    out = io.StringIO()
    sheet = cost_sheet(study.plan, study.results, frozenset(study.results))
    Console(file=out, width=100).print(cost_as_rich(sheet))
    (sample,) = [line.split() for line in out.getvalue().splitlines() if line.startswith("sample")]
    assert sample == ["sample", "41", *V100.split(), "6:50", "0.0047"]
    assert len(cost_as_csv([sheet]).splitlines()) == 1 + 42, "a program gets them all"


def test_what_is_still_to_do_is_not_saved(tmp_path: Path) -> None:
    study = Study(tmp_path, arms=2)
    sheet = cost_sheet(study.plan, study.results, frozenset())
    assert (sheet.charges, sheet.total.stages, sheet.savings.early_stopping.stages) == ((), 0, 0)


def test_spared_rungs_of_a_kind_that_never_ran_are_unknown(tmp_path: Path) -> None:
    study = Study(tmp_path, arms=1, decided={0: "stop"})
    saved = cost_sheet(study.plan, study.results, frozenset()).savings.early_stopping
    assert (saved.stages, saved.unknown, saved.device_seconds) == (1, 1, 0.0)
