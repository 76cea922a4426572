"""A sweep on a real local Ray, through the command line: killed, run again, changed.

The first three tests share a store and run in order: each is what a user does next.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.cluster

SWEEP = """\
version: 1
name: two-arms
workload: adm
base: digits
config:
  train.iterations: 40
  train.batch_size: 8
  train.checkpoint_every: 10
  train.precision: fp32
  classifier.train.iterations: 20
  classifier.train.batch_size: 8
  evaluate.num_samples: 120
  evaluate.num_reference: 400
  sample.steps: 4
  sample.batch_size: 20
arms:
  AdaGN: {model.norm: adagn}
  addition: {model.norm: add}
metric: fd_classifier
mode: min
"""
LONGEST_S = 240


class User:
    """Someone at a terminal, with a sweep file and a store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sweep = folder / "two-arms.yaml"
        self.sweep.write_text(SWEEP)
        self.store = folder / ".assay" / "store"

    def start(self, *args: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(Path(sys.executable).with_name("assay")), *args],
            cwd=self.folder,
            env={**os.environ, "ASSAY_HOME": str(self.folder / ".assay")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *args: str) -> str:
        process = self.start(*args)
        output, errors = process.communicate(timeout=LONGEST_S)
        assert process.returncode == 0, output + errors
        return output

    def kill_when(self, condition: Callable[[], bool]) -> None:
        """Start the sweep, and kill -9 its driver as soon as the condition holds."""
        process = self.start("run", "two-arms.yaml", "--plain")
        deadline = time.monotonic() + LONGEST_S
        try:
            while not condition():
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < deadline, "the moment to kill never came"
                time.sleep(0.02)
        finally:
            process.send_signal(signal.SIGKILL)
            process.communicate()

    def records(self) -> dict[str, dict[str, Any]]:
        """Key → the record of every committed result."""
        return {p.parent.name: json.loads(p.read_text()) for p in self.store.glob("results/*/result.json")}

    def stages(self) -> list[str]:
        return sorted(record["stage"] for record in self.records().values())

    def checkpoints(self) -> list[Path]:
        return list(self.store.glob("progress/*/checkpoints/*.json"))


ALL_STAGES = ["evaluate"] * 2 + ["reference"] + ["sample"] * 2 + ["train"] * 2 + ["train_classifier"]


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> User:
    return User(tmp_path_factory.mktemp("user"))


def test_a_sweep_killed_twice_finishes_and_computes_nothing_twice(user: User) -> None:
    user.kill_when(lambda: bool(user.checkpoints()))
    first = user.records()
    user.kill_when(lambda: "sample" in user.stages() or len(user.records()) >= 5)
    second = user.records()
    assert first.items() <= second.items()
    output = user.run("run", "two-arms.yaml", "--plain")
    last = user.records()
    assert second.items() <= last.items(), "what was committed before the kill is as it was"
    assert user.stages() == ALL_STAGES
    for arm in ("AdaGN", "addition"):
        assert arm in output
    assert "fd_classifier" in output


def test_a_second_run_recomputes_nothing_and_prints_the_same_table(user: User) -> None:
    before = user.records()
    table = json.loads(user.run("compare", "two-arms.yaml", "--json"))
    output = json.loads(user.run("run", "two-arms.yaml", "--json"))
    assert user.records() == before
    assert output["computed"] == 0
    assert output["trials"] == table["sweeps"][0]["trials"]
    assert len(output["trials"]) == 2


def test_a_changed_arm_runs_only_its_own_stages_and_a_damaged_result_is_computed_again(user: User) -> None:
    before = user.records()
    user.sweep.write_text(SWEEP.replace("{model.norm: add}", "{model.norm: add, model.dropout: 0.1}"))
    damaged = next(key for key, record in before.items() if record["stage"] == "reference")
    shard = user.store / before[damaged]["shards"][0]["file"]["path"]
    shard.write_bytes(shard.read_bytes()[:-1])
    output = user.run("run", "two-arms.yaml", "--plain")
    after = user.records()
    new = sorted(after[key]["stage"] for key in after if key not in before)
    assert new == ["evaluate", "sample", "train"]
    assert "damaged" in output
    assert after[damaged]["created"] > before[damaged]["created"]
    unchanged = {key: record for key, record in before.items() if key != damaged}
    assert unchanged.items() <= after.items()


def training_workers(home: Path) -> list[int]:
    """Process ids of the Ray Train workers of the run that keeps its things in `home`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            is_worker = b"TrainWorker" in (process / "cmdline").read_bytes()
            if is_worker and str(home).encode() in (process / "environ").read_bytes():
                found.append(int(process.name))
        except OSError:
            continue  # ended since it was listed
    return found


def test_a_killed_training_worker_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    user = User(tmp_path)
    one_arm = SWEEP.replace("  addition: {model.norm: add}\n", "").replace("iterations: 40", "iterations: 200")
    user.sweep.write_text(one_arm.replace("classifier.train.iterations: 20", "classifier.train.iterations: 200"))
    process = user.start("run", "two-arms.yaml", "--plain", "--no-tracking")
    deadline = time.monotonic() + LONGEST_S
    while not (user.checkpoints() and (workers := training_workers(tmp_path))):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "no worker ever saved a checkpoint"
        time.sleep(0.02)
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    output, errors = process.communicate(timeout=LONGEST_S)
    assert process.returncode == 0, output + errors
    assert user.stages() == ["evaluate", "reference", "sample", "train", "train_classifier"]
    train = next(record for record in user.records().values() if record["stage"] == "train")
    curve = json.loads((user.store / train["files"]["history.json"]["path"]).read_text())
    steps = [point["step"] for point in curve]
    assert steps == sorted(set(steps)), "no step is logged twice"
    assert steps[-1] == 200
