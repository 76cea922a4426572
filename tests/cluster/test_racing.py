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
from assay.execution import Event, Outcome
from assay.home import Home
from assay.planning import make_plan
from assay.store import Store
from assay.sweep import Sweep, load_sweep
from repository import FIXTURES
from terminal import LONGEST_S, User

pytestmark = pytest.mark.cluster

RACE = """\
version: 1
name: race
workload: toy
base: tiny
parameters:
  sample.scale: {values: [6.0, 0.0, 3.0, 1.0, 2.0, 4.0, 5.0, 7.0]}
scheduler: {name: asha, budget: evaluate.num_samples, rungs: [6, 12, 30], divisor: 2}
metric: distance
mode: min
"""
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
TRAINING = """\
version: 1
name: pausing
workload: adm
base: upsample_64_256
config:
  data.source: digits
  model.image_size: 8
  model.low_res_size: 4
  model.in_channels: 1
  model.out_channels: 2
  model.channels: 32
  model.num_res_blocks: 1
  model.channel_mult: [1, 2]
  model.num_classes: 10
  train.iterations: 4000
  train.batch_size: 8
  train.checkpoint_every: 4000
  train.engine: torch
metric: loss
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


def sweep(folder: Path, text: str) -> Sweep:
    file = folder / "sweep.yaml"
    file.write_text(text)
    return load_sweep(file, find_workload=lambda name: toy_workload.Quick())


@pytest.mark.parametrize("scheduler", ["asha", "halving", "hyperband", "median"])
def test_eight_trials_race_on_two_cpus_and_a_second_run_decides_the_same(
    toy: Path, two_cpus: str, scheduler: str
) -> None:
    race, home, events = sweep(toy, RACE.replace("asha", scheduler)), Home(toy / "home"), Events()
    outcome = assay.run(race, home, address=two_cpus, listeners=[events])
    assert not outcome.failed
    best = min(outcome.trials, key=lambda trial: (-trial.metrics["num_samples"], trial.metrics["distance"]))
    assert best.planned.name == "scale 0.0"
    assert sum(trial.metrics["num_samples"] == 30 for trial in outcome.trials) < 8, "not every trial climbs to the top"
    before = Store(home.store_url).files.names("results")
    again = assay.run(race, home, address=two_cpus, listeners=[more := Events()])
    assert more.all == []
    assert again.computed == frozenset()
    assert Store(home.store_url).files.names("results") == before
    assert make_plan(race, Store(home.store_url)).decided == outcome.plan.decided


def test_trials_are_suggested_by_what_came_of_earlier_ones(toy: Path) -> None:
    adaptive, home, events = sweep(toy, ADAPTIVE), Home(toy / "home"), Events()
    outcome = assay.run(adaptive, home, listeners=[events])
    assert len(outcome.trials) == 5
    assert all(trial.metrics for trial in outcome.trials)
    suggested = [trial.planned.trial.overrides["sample.scale"] for trial in outcome.trials]
    assert len(set(map(str, suggested))) == 5
    again = assay.run(adaptive, home)
    assert again.computed == frozenset()
    assert [trial.planned.trial.overrides["sample.scale"] for trial in again.trials] == suggested


def test_ctrl_c_saves_a_training_where_it_is(tmp_path: Path) -> None:
    user = User(tmp_path, TRAINING)
    process = user.start("run", "sweep.yaml", "--plain", "--no-tracking")

    def is_on_its_way() -> bool:
        process.poll()
        return bool(user.training_workers())

    user.until(process, is_on_its_way)
    line = ""
    assert process.stdout is not None
    while " of 4,000 iterations" not in line and process.poll() is None:
        line = process.stdout.readline()
    os.kill(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=LONGEST_S)
    assert process.returncode == 130, output + errors
    assert "Stopped." in errors
    (checkpoint,) = user.checkpoints()
    assert 0 < json.loads(checkpoint.read_text())["step"] < 4000
