"""MLflow as a view: what a user finds there after a sweep, a second run, a kill, a changed arm, a server's absence."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from assay.errors import StageFailed
from assay.home import Home
from assay.planning import Plan, PlannedTrial, Rung
from assay.spec import Sweep
from assay.store import Cost, Store, StoredResult
from assay.tracking import Tracker
from assay.tracking.logged import logged_runs
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


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> ToyRun:
    """A sweep that ran once, for the tests that only look."""
    folder = tmp_path_factory.mktemp("finished")
    home = Home(folder / "home")
    home.report("toy-study").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(home.report("toy-study") / "bars.png")
    return ToyRun(home, make_plan(folder)).whole()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


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


def test_importing_assay_tracking_does_not_import_mlflow() -> None:
    code = "import sys, assay.tracking; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_sweep_is_an_experiment_with_a_parent_run_and_a_child_run_a_trial(finished: ToyRun) -> None:
    seen = Seen(finished.home)
    assert finished.warnings == []
    assert seen.parent.info.run_name == "toy-study"
    assert set(seen.children) == {t.name for t in finished.plan.trials}
    assert "AdaGN, scale 1.0" in seen.children
    parents = {run.data.tags["mlflow.parentRunId"] for run in seen.children.values()}
    assert parents == {seen.parent.info.run_id}
    assert {seen.parent.info.status, *seen.statuses().values()} == {"FINISHED"}
    assert all(run.info.end_time for run in seen.runs)


def test_only_what_varies_is_a_parameter_and_the_rest_is_a_file(finished: ToyRun) -> None:
    seen = Seen(finished.home)
    run = seen.children["addition, scale 1.0"]
    assert run.data.params == {"model.norm": "add", "sample.scale": "1.0"}
    assert seen.parent.data.params == {}
    assert {"config.yaml", "samples.png", "images"} <= set(seen.files(run))
    text = Path(seen.client.download_artifacts(run.info.run_id, "config.yaml")).read_text()
    assert "norm: add" in text
    assert "width: 8" in text


def test_metrics_have_their_budget_as_the_step_and_trainings_their_curve(finished: ToyRun) -> None:
    seen = Seen(finished.home)
    for name in ("AdaGN, scale 0.0", "AdaGN, scale 1.0"):  # they share the training, and both show its curve
        run = seen.children[name]
        (error,) = seen.client.get_metric_history(run.info.run_id, "error")
        assert (error.step, error.value) == (500, 2.0 - float(run.data.params["sample.scale"]))
        curve = seen.client.get_metric_history(run.info.run_id, "train/loss")
        assert [point.step for point in curve] == list(range(ITERATIONS))
        assert curve[9].value == pytest.approx(0.1)
        assert run.data.metrics["cost/seconds"] == 3.0


def test_tags_say_which_results_a_run_shows(finished: ToyRun) -> None:
    run = Seen(finished.home).children["AdaGN, scale 0.0"]
    (planned,) = [t for t in finished.plan.trials if t.name == "AdaGN, scale 0.0"]
    assert run.data.tags["assay.key"] == planned.leaf.key
    assert f"train {planned.stages[0].key}" in run.data.tags["assay.stages"]
    assert run.data.tags["assay.device"] == "cpu (toy)"
    assert run.data.tags["assay.computed"] == "train, evaluate"
    assert run.data.tags["assay.train.train.precision"] == "bf16"


def test_the_parent_has_the_comparison_and_the_best_arm(finished: ToyRun) -> None:
    seen = Seen(finished.home)
    assert seen.parent.data.metrics == {"best/error": 1.0, "best/recall": 0.5}
    assert seen.parent.data.tags["assay.best"] == "AdaGN, scale 1.0"
    note = seen.parent.data.tags["mlflow.note.content"]
    assert note.startswith("Is AdaGN better?")
    assert note.index("AdaGN, scale 1.0") < note.index("AdaGN, scale 0.0") < note.index("addition, scale 0.0")
    assert seen.files(seen.parent, "report") == ["report/bars.png"]
    assert seen.files(seen.parent, "sweep") == ["sweep/toy.yaml"]
    table = seen.client.download_artifacts(seen.parent.info.run_id, "comparison.json")
    assert '"arm"' in Path(table).read_text()


def test_the_experiment_keeps_a_view_that_ranks_the_arms(finished: ToyRun) -> None:
    seen = Seen(finished.home)
    state = json.loads(seen.experiment.tags["mlflow.sharedViewState.arms"])
    found = seen.client.search_runs([seen.experiment.experiment_id], state["searchFilter"])
    assert {run.info.run_name for run in found} == set(seen.children)
    assert all(run.data.tags["assay.standing"] == "current" for run in found)
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`error`", True)
    assert {"metrics.`recall`", "params.`model.norm`"} <= set(state["selectedColumns"])
    assert [chart["type"] for chart in state["compareRunCharts"]] == ["BAR", "PARALLEL", "BAR", "BAR", "IMAGE"]
    assert state["compareRunCharts"][1]["selectedParams"] == ["model.norm", "sample.scale"]


def test_a_second_run_changes_nothing_and_does_not_start_mlflow(finished: ToyRun) -> None:
    before = Seen(finished.home).everything()
    threads = threading.active_count()
    started = time.monotonic()
    again = ToyRun(finished.home, finished.plan)
    again.begin()
    assert threading.active_count() == threads
    again.tracker.end(again.outcome())
    assert time.monotonic() - started < 1
    assert Seen(finished.home).everything() == before


def test_a_wiped_database_is_filled_again_from_the_store(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSAY_STORE", str(tmp_path / "store"))
    plan = make_plan(tmp_path)
    ToyRun(home, plan).whole()
    wiped = Home(tmp_path / "wiped")  # not the same file again: MLflow keeps it open as long as this process lives
    ToyRun(wiped, plan).whole()
    seen = Seen(wiped)
    assert set(seen.statuses().values()) == {"FINISHED"}
    run = seen.children["AdaGN, scale 0.0"]
    assert run.data.metrics["error"] == 2.0
    assert run.data.tags["assay.cached"] == "train, evaluate"


def test_a_run_deleted_in_the_ui_comes_back(home: Home, tmp_path: Path) -> None:
    plan = make_plan(tmp_path)
    ToyRun(home, plan).whole()
    seen = Seen(home)
    seen.client.delete_run(seen.children["AdaGN, scale 0.0"].info.run_id)
    ToyRun(home, plan).whole()
    assert len(Seen(home).children) == 4


def test_a_changed_arm_is_a_new_run_and_the_old_one_stays(home: Home, tmp_path: Path) -> None:
    ToyRun(home, make_plan(tmp_path)).whole()
    before = Seen(home).children
    ToyRun(home, make_plan(tmp_path, parameters={"sample.scale": {"values": [0.0, 2.0]}})).whole()
    after = Seen(home).children
    assert set(after) - set(before) == {"AdaGN, scale 2.0", "addition, scale 2.0"}
    for name, run in before.items():
        assert after[name].info.run_id == run.info.run_id
        assert after[name].data.metrics == run.data.metrics
        assert after[name].info.status == "FINISHED"


def test_trials_that_differ_only_in_what_no_stage_reads_have_a_run_each(home: Home, tmp_path: Path) -> None:
    plan = make_plan(tmp_path, arms={}, parameters={"sample.pace": {"values": [1, 2]}})
    assert len(plan.stages) == 2
    for _ in range(2):
        ToyRun(home, plan).whole()
        assert {n: r.data.params for n, r in Seen(home).children.items()} == {
            "pace 1": {"sample.pace": "1"},
            "pace 2": {"sample.pace": "2"},
        }


def test_a_profile_has_a_parent_run_of_its_own(home: Home, tmp_path: Path) -> None:
    ToyRun(home, make_plan(tmp_path)).whole()
    plan = make_plan(tmp_path, parameters={"sample.scale": {"values": [0.5]}})
    for profile in ("smoke", "none"):
        plan.sweep._profile = profile
        ToyRun(home, plan).whole()
    from mlflow.tracking import MlflowClient

    runs = MlflowClient(tracking_uri=home.tracking_uri).search_runs(["1"], "tags.`assay.role` = 'sweep'")
    assert sorted(run.info.run_name for run in runs) == ["toy-study", "toy-study (none)", "toy-study (smoke)"]


def test_after_a_kill_the_next_command_closes_and_reopens_runs(home: Home, tmp_path: Path) -> None:
    killed = ToyRun(home, make_plan(tmp_path))
    killed.begin()
    first = killed.plan.trials[0]
    for stage in first.stages:
        killed.compute(stage)
    killed.tracker._finish(None)  # what was queued is written, and nothing is closed: as a kill leaves it
    seen = Seen(home)
    assert seen.parent.info.status == "RUNNING"
    assert seen.statuses().pop(first.name) == "FINISHED"
    assert sorted(seen.statuses().values()) == ["FINISHED", "RUNNING", "RUNNING", "RUNNING"]
    changed = make_plan(tmp_path, arms={"AdaGN": {"model.norm": "adagn"}})
    ToyRun(home, changed).whole()
    after = Seen(home)
    assert after.parent.info.run_id == seen.parent.info.run_id
    assert after.statuses() == {
        "AdaGN, scale 0.0": "FINISHED",
        "AdaGN, scale 1.0": "FINISHED",
        "addition, scale 0.0": "KILLED",
        "addition, scale 1.0": "KILLED",
    }


def test_curves_that_were_logged_before_a_kill_are_not_doubled(home: Home, tmp_path: Path) -> None:
    plan = make_plan(tmp_path)
    killed = ToyRun(home, plan)
    killed.begin()
    killed.compute(plan.trials[0].stages[0])
    killed.tracker._finish(None)
    ToyRun(home, plan).whole()
    seen = Seen(home)
    run = seen.children["AdaGN, scale 0.0"]
    assert len(seen.client.get_metric_history(run.info.run_id, "train/loss")) == ITERATIONS


def test_abort_kills_what_is_not_finished_and_the_next_command_finishes_it(home: Home, tmp_path: Path) -> None:
    plan = make_plan(tmp_path)
    cut = ToyRun(home, plan)
    cut.begin()
    for stage in plan.trials[0].stages:
        cut.compute(stage)
    cut.tracker.abort()
    seen = Seen(home)
    assert seen.parent.info.status == "KILLED"
    assert sorted(seen.statuses().values()) == ["FINISHED", "KILLED", "KILLED", "KILLED"]
    ids = {name: run.info.run_id for name, run in seen.children.items()}
    ToyRun(home, plan).whole()
    after = Seen(home)
    assert {name: run.info.run_id for name, run in after.children.items()} == ids
    assert {after.parent.info.status, *after.statuses().values()} == {"FINISHED"}


def test_a_failed_trial_says_why_until_it_succeeds(home: Home, tmp_path: Path) -> None:
    plan = make_plan(tmp_path)
    run = ToyRun(home, plan)
    run.begin()
    bad = plan.trials[-1].leaf
    for stage in plan.stages.values():
        if stage.key != bad.key:
            run.compute(stage)
    run.failed[bad.key] = "Traceback …\nValueError: out of digits"
    run.tracker.end(run.outcome())
    seen = Seen(home)
    failed = seen.children[plan.trials[-1].name]
    assert (failed.info.status, seen.parent.info.status) == ("FAILED", "FAILED")
    assert failed.data.tags["assay.error"] == "evaluate: ValueError: out of digits"
    assert "Traceback" in failed.data.tags["mlflow.note.content"]
    ToyRun(home, plan).whole()
    seen = Seen(home)
    assert {seen.parent.info.status, *seen.statuses().values()} == {"FINISHED"}
    assert "assay.error" not in seen.children[plan.trials[-1].name].data.tags


def test_a_server_that_is_down_is_told_once_and_stops_nothing(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    run = ToyRun(home, make_plan(tmp_path)).whole()
    assert len(run.stored()) == len(run.plan.stages)
    (warning,) = run.warnings
    assert "http://127.0.0.1:9" in warning
    assert "`assay sync`" in warning


def test_a_database_that_is_no_database_is_told_once(home: Home, tmp_path: Path) -> None:
    home.root.mkdir()
    (home.root / "mlflow.db").write_text("this is no database, and long enough to be taken for a damaged one" * 20)
    assert logged_runs(home, "toy-study") == {}
    run = ToyRun(home, make_plan(tmp_path)).whole()
    assert len(run.warnings) == 1


def test_two_commands_that_create_the_database_at_once_do_not_spoil_it(home: Home, tmp_path: Path) -> None:
    """MLflow's migrations are not made for it: what two of them leave behind no later command can open."""
    script = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[1]); import test_tracking as t; from assay.home import Home; "
        "from assay.tracking.runs import Runs; folder = pathlib.Path(sys.argv[2]); "
        "Runs(Home(folder / 'home'), t.make_plan(folder))"
    )
    make_plan(tmp_path)
    command = [sys.executable, "-c", script, str(Path(__file__).parent), str(tmp_path)]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=120)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert len(Seen(home).everything()) == 1 + len(make_plan(tmp_path).trials), "neither made runs of its own"
