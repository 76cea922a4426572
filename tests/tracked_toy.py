"""A sweep of a toy as a run tells the tracker of it, and what a user then finds in MLflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from PIL import Image

from assay.errors import StageFailed
from assay.home import Home
from assay.planning import Plan, PlannedTrial, Rung
from assay.store import Cost, Store, StoredResult
from assay.sweep import Sweep
from assay.tracking import Tracker
from assay.workload import JSON, Budget, ReportHints, Stage, topological

ITERATIONS = 300


class Toy:
    """train → evaluate; the second parameter is only read by evaluate, so trials share trainings."""

    name = "toy"
    seed_path = "seed"
    report = ReportHints(metrics=("error", "recall"), sample_grid="samples.png")

    def presets(self) -> Sequence[str]:
        return ["small"]

    def resolve(self, base: str, overrides: Mapping[str, JSON]) -> Mapping[str, JSON]:
        config: dict[str, Any] = {
            "seed": 0,
            "model": {"norm": "adagn", "width": 8},
            "sample": {"scale": 0.0, "pace": 1},
        }
        for path, value in overrides.items():
            section, _, name = path.rpartition(".")
            (config[section] if section else config)[name] = value
        return config

    def paths(self, base: str) -> Sequence[str]:
        return ["seed", "model.norm", "model.width", "sample.scale", "sample.pace"]

    def metrics(self, config: Mapping[str, JSON]) -> Sequence[str]:
        return ["error", "recall"]

    def stages(self, config: Mapping[str, JSON]) -> Sequence[Stage]:
        train = Stage(
            name="train",
            version=1,
            kind="train",
            body=("toy:train",),
            config={"seed": config["seed"], "model": config["model"]},
            budget=Budget("train.iterations", ITERATIONS, "iterations"),
        )
        evaluate = Stage(
            name="evaluate",
            version=1,
            kind="reduce",
            body=("toy:evaluate",),
            config={"scale": config["sample"]["scale"]},
            inputs={"model": train},
            budget=Budget("evaluate.num_samples", 500, "images"),
        )
        return [evaluate]


@dataclass
class ToyRun:
    """A run of the toy sweep as the engine makes one: stages are committed to a real store, and the tracker is told."""

    home: Home
    plan: Plan
    warnings: list[str] = field(default_factory=list)
    computed: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.store = Store(self.home.store_url)
        self.tracker = Tracker(self.home, self.warnings.append)

    def begin(self) -> None:
        self.tracker.begin(self.plan, {}, self.stored())

    def stored(self) -> dict[str, StoredResult]:
        return {key: result for key in self.plan.stages if (result := self.store.get(key)) is not None}

    def compute(self, stage: Stage) -> None:
        with self.store.staging() as output:
            history: list[dict[str, float]] = []
            notes = {"train.precision": "bf16"} if stage.kind == "train" else {}
            if stage.kind == "train":
                metrics = {"loss": 0.5}
                history = [{"step": float(s), "loss": 1 / (s + 1), "lr": 0.1} for s in range(ITERATIONS)]
            else:
                norm = stage.inputs["model"].config["model"]["norm"]
                scale = float(stage.config["scale"])
                metrics = {"error": {"adagn": 2.0, "add": 3.0}[norm] - scale, "recall": 0.5}
                tint = {"adagn": 60, "add": 160}[norm]
                Image.new("RGB", (64, 64), (tint, int(scale * 90), 90)).save(output / "samples.png")
            self.store.commit(stage, output, metrics, Cost("cpu (toy)", 1, 1.5), history, notes)
        self.computed.add(stage.key)
        self.tracker.event(SimpleNamespace(kind="committed", key=stage.key))

    def compute_missing(self) -> None:
        there = self.stored()
        for key, stage in self.plan.stages.items():
            if key not in there:
                self.compute(stage)

    def outcome(self) -> SimpleNamespace:
        stored, trials = self.stored(), []
        for planned in self.plan.trials:
            own = {s.key: stored[s.key] for s in planned.stages if s.key in stored}
            broken = next((s for s in planned.stages if s.key in self.failed), None)
            error = StageFailed(broken.name, broken.key, self.failed[broken.key]) if broken else None
            computed = frozenset(own) & frozenset(self.computed)
            trials.append(SimpleNamespace(planned=planned, results=own, computed=computed, error=error))
        return SimpleNamespace(plan=self.plan, trials=tuple(trials), paused=None)

    def whole(self) -> ToyRun:
        self.begin()
        self.compute_missing()
        self.tracker.end(self.outcome())
        return self


def make_plan(tmp_path: Path, **changes: Any) -> Plan:
    file = tmp_path / "toy.yaml"
    file.write_text("version: 1\nname: toy-study\n")
    written = {
        "version": 1,
        "name": "toy-study",
        "description": "Is AdaGN better?",
        "workload": "toy",
        "base": "small",
        "arms": {"AdaGN": {"model.norm": "adagn"}, "addition": {"model.norm": "add"}},
        "parameters": {"sample.scale": {"values": [0.0, 1.0]}},
        "metric": "error",
        "mode": "min",
    }
    sweep = Sweep.model_validate({**written, **changes})
    toy = Toy()
    sweep._workload, sweep._file = toy, str(file)
    trials = tuple(PlannedTrial(t, (Rung(None, tuple(topological(toy.stages(t.config)))),)) for t in sweep.trials())
    return Plan(sweep, toy, trials)


class Seen:
    """What is in MLflow, read with MLflow's own client."""

    def __init__(self, home: Home) -> None:
        from mlflow.tracking import MlflowClient

        self.client: Any = MlflowClient(tracking_uri=home.tracking_uri)
        self.experiment = self.client.get_experiment_by_name("toy-study")
        runs = self.client.search_runs([self.experiment.experiment_id])
        self.runs = list(runs)
        (self.parent,) = [run for run in runs if run.data.tags["assay.role"] == "sweep"]
        self.children = {run.info.run_name: run for run in runs if run is not self.parent}

    def files(self, run: Any, folder: str | None = None) -> list[str]:
        return sorted(file.path for file in self.client.list_artifacts(run.info.run_id, folder))

    def statuses(self) -> dict[str, str]:
        return {name: run.info.status for name, run in self.children.items()}

    def everything(self) -> list[Any]:
        """All of it, to compare before and after."""
        return sorted(
            (run.info.run_id, run.info.status, run.info.end_time, sorted(run.data.tags.items()), self.files(run))
            for run in self.runs
        )
