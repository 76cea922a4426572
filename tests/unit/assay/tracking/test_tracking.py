"""MLflow as a view: what a user finds there after a sweep, a second run, a kill, a changed arm, a server's absence."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from PIL import Image

from assay.home import Home
from assay.tracking.client import mlflow_client
from assay.tracking.logged import logged_runs
from patience import LONGEST_S
from repository import FIXTURES
from tracked_toy import ITERATIONS, Seen, ToyRun, make_plan
from tracking_database import with_database

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> ToyRun:
    """A sweep that ran once, for the tests that only look."""
    folder = tmp_path_factory.mktemp("finished")
    home = with_database(Home(folder / "home"))
    home.report("toy-study").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(home.report("toy-study") / "bars.png")
    return ToyRun(home, make_plan(folder)).whole()


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
    assert time.monotonic() - started < 5
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
    runs = mlflow_client(home.tracking_uri).search_runs(["1"], "tags.`assay.role` = 'sweep'")
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
    run.failed[bad.key] = "Traceback …\nValueError: out of digits\nat step 12"
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
    (home.root / "mlflow.db").write_text("this is no database, and long enough to be taken for a damaged one" * 20)
    assert logged_runs(home, "toy-study") == {}
    run = ToyRun(home, make_plan(tmp_path)).whole()
    assert len(run.warnings) == 1


def test_two_commands_that_create_the_database_at_once_do_not_spoil_it(tmp_path: Path) -> None:
    """MLflow's migrations are not made for it: what two of them leave behind no later command can open."""
    script = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[1]); import tracked_toy as t; from assay.home import Home; "
        "from assay.tracking.runs import Runs; folder = pathlib.Path(sys.argv[2]); "
        "Runs(Home(folder / 'new'), t.make_plan(folder))"
    )
    make_plan(tmp_path)
    home = Home(tmp_path / "new")
    command = [sys.executable, "-c", script, str(FIXTURES), str(tmp_path)]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=LONGEST_S)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert len(Seen(home).everything()) == 1 + len(make_plan(tmp_path).trials), "neither made runs of its own"
