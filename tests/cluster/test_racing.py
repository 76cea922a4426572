"""Racing on Ray Tune, on two CPUs: more trials than the cluster holds, an end by Ctrl-C, and a second run."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

import assay
import toy_workload
from assay.execution import Event, Outcome, Pause
from assay.home import Home
from assay.planning import make_plan
from assay.store import Store
from assay.sweep import Sweep, load_sweep
from assay.workload import Workload
from job_site import installed
from patience import LONGEST_S
from repository import FIXTURES
from terminal import User
from webhook_server import service

pytestmark = pytest.mark.cluster

RACE = """\
version: 1
name: race
workload: toy
base: tiny
parameters:
  sample.scale: {values: [6.0, 0.0, 3.0, 1.0, 4.0, 7.0]}
scheduler: {name: asha, budget: evaluate.num_samples, rungs: [6, 12, 30], divisor: 2}
metric: distance
mode: min
"""
FOUR_AT_ONCE = "limits: {concurrent_trials: 4}\n"
"""More than the cluster holds, too; each is a process, which takes seconds to start."""
ADAPTIVE = """\
version: 1
name: adaptive
workload: toy
base: tiny
parameters:
  sample.scale: {min: 0.0, max: 9.0}
searcher: {name: optuna, num_trials: 5, batch: 3}
metric: distance
mode: min
"""
NOTIFIED = """\
version: 1
name: NAME
workload: toy
base: tiny
metric: distance
mode: min
notify: [{webhook: {env: HOOK}}]
"""
TRAINING = """\
version: 1
name: pausing
workload: toy
base: tiny
config: {{train.gates: {gates}}}
metric: distance
mode: min
"""


class Events:
    def __init__(self) -> None:
        self.all: list[Event] = []

    def begin(self, *_: object) -> None: ...

    def end(self, outcome: Outcome) -> None: ...

    def event(self, event: Event) -> None:
        self.all.append(event)


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", str(FIXTURES))  # workers import the toy
    return tmp_path


@pytest.fixture(scope="module")
def two_cpus() -> Iterator[str]:
    """The address of a cluster that has two, whatever this machine has. One for all races."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(FIXTURES))
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
        yield cluster.address
        cluster.shutdown()


def sweep(folder: Path, text: str, workload: Workload | None = None) -> Sweep:
    file = folder / "sweep.yaml"
    file.write_text(text)
    return load_sweep(file, find_workload=lambda name: workload or toy_workload.Quick())


@pytest.mark.parametrize(
    ("scheduler", "limits"),
    [("asha", ""), ("halving", ""), ("hyperband", FOUR_AT_ONCE), ("median", FOUR_AT_ONCE)],
)
def test_six_trials_race_on_two_cpus_and_a_second_run_decides_the_same(
    toy: Path, two_cpus: str, scheduler: str, limits: str
) -> None:
    race, home, events = sweep(toy, RACE.replace("asha", scheduler) + limits), Home(toy / "home"), Events()
    outcome = assay.run(race, home, address=two_cpus, listeners=[events])
    assert not outcome.failed
    best = min(outcome.trials, key=lambda trial: (-trial.metrics["num_samples"], trial.metrics["distance"]))
    assert best.planned.name == "scale 0.0"
    assert sum(trial.metrics["num_samples"] == 30 for trial in outcome.trials) < 6, "not every trial climbs to the top"
    before = Store(home.store_url).files.names("results")
    again = assay.run(race, home, address=two_cpus, listeners=[more := Events()])
    assert more.all == []
    assert again.computed == frozenset()
    assert Store(home.store_url).files.names("results") == before
    assert make_plan(race, Store(home.store_url)).decided == outcome.plan.decided


def test_trials_are_suggested_by_what_came_of_earlier_ones(toy: Path, two_cpus: str) -> None:
    adaptive, home, events = sweep(toy, ADAPTIVE), Home(toy / "home"), Events()
    outcome = assay.run(adaptive, home, address=two_cpus, listeners=[events])
    assert len(outcome.trials) == 5
    assert all(trial.metrics for trial in outcome.trials)
    suggested = [trial.planned.trial.overrides["sample.scale"] for trial in outcome.trials]
    assert len(set(map(str, suggested))) == 5
    again = assay.run(adaptive, home, address=two_cpus)
    assert again.computed == frozenset()
    assert [trial.planned.trial.overrides["sample.scale"] for trial in again.trials] == suggested


def test_alerts_of_every_kind_leave_the_driver_of_a_cluster(
    toy: Path, two_cpus: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pause = Pause()

    class Pauses(Events):
        def event(self, event: Event) -> None:
            pause.ask("stopped")

    def run(name: str, more: str, listener: Events | None = None, pause: Pause | None = None) -> None:
        workload = toy_workload.workload if "sample.fail" in more else None
        study = sweep(toy, f"{NOTIFIED.replace('NAME', name)}{more}", workload)
        assay.run(study, Home(toy / name), address=two_cpus, listeners=[listener] if listener else [], pause=pause)

    with service() as told:
        monkeypatch.setenv("HOOK", told.url)
        run("fails", "arms: {good: {}, bad: {sample.fail: true}}\n")
        run("target", "scheduler: {budget: evaluate.num_samples, rungs: [6, 12], target: 2.0}\n")
        run("limited", "parameters: {sample.scale: {values: [0.0, 1.0]}}\nlimits: {trials: 1}\n")
        run("paused", "", Pauses(), pause)
    assert told.kinds() == ["failed", "failed", "target_reached", "finished", "budget", "paused"]
    assert [body["title"].partition(":")[0] for body in told.bodies] == [
        *("fails", "fails", "target", "target", "limited", "paused")
    ]


def test_ctrl_c_saves_a_training_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(installed(tmp_path / "site")))
    user = User(tmp_path, TRAINING.format(gates=tmp_path))
    (tmp_path / "shut-3").touch()
    process = user.start("run", "sweep.yaml", "--plain", "--no-tracking")

    def is_on_its_way() -> bool:
        process.poll()
        return bool(user.training_workers())

    user.until(process, is_on_its_way)
    line = ""
    assert process.stdout is not None
    while " of 20 iterations" not in line and process.poll() is None:
        line = process.stdout.readline()
    os.kill(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=LONGEST_S)
    assert process.returncode == 130, output + errors
    assert "Stopped." in errors
    (checkpoint,) = user.checkpoints()
    assert json.loads(checkpoint.read_text())["step"] == 3, "it saves every five steps otherwise"
