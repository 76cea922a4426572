"""Curves of stages that are still running."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from assay.errors import UserError
from assay.execution import Event
from assay.home import Home
from assay.store import Cost
from assay.tracking.client import mlflow_client
from assay.tracking.live import LiveCurves
from assay.tracking.view import Point
from patience import LONGEST_S
from tracked_toy import ITERATIONS, Seen, ToyRun, make_plan
from tracking_database import with_database

V100 = "Tesla V100-SXM2-32GB"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Live:
    """The curves of the toy's first training, which is given this many FLOPs and items."""

    def __init__(self, folder: Path, interval_s: float = 10.0, **facts: Any) -> None:
        plan = make_plan(folder)
        stage = next(stage for stage in plan.stages.values() if stage.kind == "train")
        plan.__dict__["stages"] = {**plan.stages, stage.key: replace(stage, **facts)}
        self.key, self.clock = stage.key, Clock()
        self.curves = LiveCurves(interval_s, self.clock)
        self.curves.begin(plan, {})

    def says(self, now: float, done: int, device: str = V100, workers: int = 2, **metrics: float) -> None:
        self.clock.now = now
        self.curves.add(Event("progress", self.key, done=done, metrics=metrics, cost=Cost(device, workers, now)))

    def due(self, now: float, *, is_free: bool = True) -> Mapping[str, float]:
        self.clock.now = now
        return {point.name: point.value for point in self.points(is_free=is_free)}

    def points(self, *, is_free: bool = True) -> list[Point]:
        return [point for each in self.curves.due(is_free=is_free).values() for point in each]


def test_each_interval_has_the_means_of_what_was_reported_and_the_speed(tmp_path: Path) -> None:
    live = Live(tmp_path, items=3000, flops=300 * 24e12)  # 10 items and 24 TFLOP per iteration
    live.says(1.0, 10, loss=0.9)
    live.says(5.0, 50, loss=0.5, grad_norm=2.0)
    assert live.due(9.9) == {}
    shown = live.due(11.0)
    assert shown.pop("live/train/items_per_second") == pytest.approx(40 * 10 / 10)
    # 40 iterations in 4 seconds on two devices of 120 TFLOP/s
    assert shown.pop("live/train/utilisation") == pytest.approx(40 * 24e12 / (2 * 4 * 120e12))
    assert shown == {"live/train/loss": 0.7, "live/train/grad_norm": 2.0, "live/train/iterations_done": 50}
    live.says(21.0, 210, loss=0.1)
    assert {(point.name, point.step) for point in live.points()} >= {("live/train/loss", 210)}
    live.says(31.0, 310, loss=0.2)
    assert live.due(31.0)["live/train/loss"] == 0.2


def test_what_says_nothing_or_no_number_shows_nothing(tmp_path: Path) -> None:
    live = Live(tmp_path)
    live.says(1.0, 10, device="cpu (x86_64)", loss=float("nan"))
    assert live.due(11.0) == {"live/train/iterations_done": 10}, (
        "no peak is known for a CPU, and two reports make a rate"
    )
    assert live.due(30.0) == {}


def test_a_server_that_is_slow_gets_fewer_points(tmp_path: Path) -> None:
    live = Live(tmp_path)
    live.says(1.0, 10, loss=0.9)
    assert live.due(11.0, is_free=False) == {}
    live.says(12.0, 120, loss=0.3)
    assert live.due(12.5)["live/train/loss"] == pytest.approx(0.6)


def test_a_map_stage_adds_up_what_its_workers_report(tmp_path: Path) -> None:
    live = Live(tmp_path)
    for now in (2.0, 4.0):
        live.clock.now = now
        live.curves.add(Event("progress", live.key, done=8, advance=True, cost=Cost("cpu", 1, 2.0)))
    shown = live.due(12.0)
    assert shown == {"live/train/iterations_done": 16.0, "live/train/iterations_per_second": pytest.approx(16 / 10)}


def test_an_interval_of_zero_shows_nothing(tmp_path: Path) -> None:
    live = Live(tmp_path, 0.0)
    live.says(1.0, 10, loss=0.9)
    assert live.due(1000.0) == {}


@pytest.mark.parametrize("value", ["soon", "-1", "nan", "inf"])
def test_an_interval_that_is_none_is_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("ASSAY_LIVE_SECONDS", value)
    with pytest.raises(UserError, match=rf"ASSAY_LIVE_SECONDS: got '{value}', allowed: a number of seconds"):
        ToyRun(Home(tmp_path), make_plan(tmp_path))


def runs_with(metric: str, home: Home) -> dict[str, str]:
    """Name and status of the runs that have a metric."""
    client = mlflow_client(home.tracking_uri)
    experiment = client.get_experiment_by_name("toy-study")
    runs = [] if experiment is None else client.search_runs([experiment.experiment_id])
    return {run.info.run_name: run.info.status for run in runs if metric in run.data.metrics}


@pytest.mark.slow
def test_a_training_is_in_mlflow_while_it_runs_and_its_own_curve_is_whole_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSAY_LIVE_SECONDS", "0.001")
    run = ToyRun(with_database(Home(tmp_path / "home")), make_plan(tmp_path))
    run.begin()
    (train, *_) = [stage for stage in run.plan.stages.values() if stage.kind == "train"]
    until, shown = time.monotonic() + LONGEST_S, dict[str, str]()
    for done in range(1, 10**9):
        run.tracker.event(Event("progress", train.key, done=done, metrics={"loss": 0.7}, cost=Cost("cpu", 1, 1.0)))
        if done % 1000 == 0:
            shown = runs_with("live/train/loss", run.home)
            if len(shown) == 2 or time.monotonic() > until:
                break
    assert shown == dict.fromkeys(["AdaGN, scale 0.0", "AdaGN, scale 1.0"], "RUNNING"), "they share the training"
    run.compute_missing()
    run.tracker.end(run.outcome())
    seen = Seen(run.home)
    for name in shown:
        curve = seen.client.get_metric_history(seen.children[name].info.run_id, "train/loss")
        assert [point.step for point in curve] == list(range(ITERATIONS))
    assert run.warnings == []


def test_what_workers_use_is_shown_per_worker_and_apart_from_the_curves(tmp_path: Path) -> None:
    live = Live(tmp_path)
    live.says(1.0, 10)
    for worker, percent in (("rank 0", 90.0), ("rank 0", 70.0), ("rank 1", 50.0)):
        live.curves.add(Event("system", live.key, metrics={"gpu_percent": percent}, worker=worker))
    shown = live.due(11.0)
    assert shown["system/train/rank 0/gpu_percent"] == 80.0
    assert shown["system/train/rank 1/gpu_percent"] == 50.0
    live.says(12.0, 20)
    assert not any(name.startswith("system/") for name in live.due(30.0))
