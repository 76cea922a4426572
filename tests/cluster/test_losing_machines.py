"""Trainings that lose workers and machines, on a local cluster of several nodes: the result is as if nothing happened.

Nodes come and go on one cluster, since a start of Ray takes seconds. A training waits at a gate for what is to happen
to it there, so that nothing depends on the clock.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import ray
import ray.train
from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError

import assay
import toy_workload
from assay.errors import UserError
from assay.execution.ray.deaths import failure_by
from assay.execution.ray.train import is_taken_away
from assay.home import Home
from assay.store import Store, StoredResult
from assay.sweep import Sweep, load_sweep
from machines import Machines, Witness

pytestmark = pytest.mark.cluster

SWEEP = """\
version: 1
name: losses
workload: toy
base: tiny
config: {{train.iterations: 40, train.gates: {gates}, train.refuse: "{refuse}"}}
resources: {{train: {{workers: {workers}}}}}
limits: {{retries: {retries}}}
metric: loss
mode: min
"""


FAILED = "train (tiny): a worker failed; retry 1 of 1, from the last checkpoint: "


@dataclass
class Study:
    """A sweep with one training, its store, and what it gives undisturbed."""

    folder: Path
    machines: Machines

    @property
    def gates(self) -> Path:
        return self.folder / "gates"

    def sweep(self, **wanted: Any) -> Sweep:
        values = {"gates": self.gates, "refuse": "", "workers": 1, "retries": 1, **wanted}
        file = self.folder / "losses.yaml"
        file.write_text(SWEEP.format(**values))
        return load_sweep(file, find_workload=lambda name: toy_workload.training)

    def run(self, witness: Witness, **wanted: Any) -> StoredResult:
        self.gates.mkdir()
        witness.gates = self.gates
        for step in witness.deeds:
            (self.gates / f"shut-{step}").touch()
        home, address = Home(self.folder / "cluster"), self.machines.address()
        outcome = assay.run(self.sweep(**wanted), home, address=address, listeners=[witness])
        assert not outcome.failed, outcome.failed[0].error
        assert len(witness.struck) == len(witness.deeds), "everything that was to happen did"
        (result,) = outcome.trials[0].results.values()
        return result

    def undisturbed(self) -> StoredResult:
        for gate in self.gates.iterdir():
            gate.unlink()
        outcome = assay.run(self.sweep(), Home(self.folder / "inline"), executor="inline")
        (result,) = outcome.trials[0].results.values()
        return result


@pytest.fixture
def study(tmp_path: Path, machines: Machines) -> Study:
    return Study(tmp_path, machines)


def assert_equal(result: StoredResult, undisturbed: StoredResult) -> None:
    assert result.key == undisturbed.key
    assert result.metrics == undisturbed.metrics
    assert result.history == undisturbed.history
    assert result.file("model.json").read_bytes() == undisturbed.file("model.json").read_bytes()


def test_a_group_of_two_loses_a_worker_and_then_a_machine(study: Study, machines: Machines) -> None:
    """Killed, it starts again; without a machine to start on, it goes on with one worker of the up to three."""
    machines.have(2)
    witness = Witness({12: machines.kill_a_worker, 27: machines.kill_a_machine})
    result = study.run(witness, workers=[1, 3], retries=1)
    assert_equal(result, study.undisturbed())
    assert result.cost.count == 1
    assert result.cost.details["checkpoint_bytes"] > 0
    assert witness.said[0].startswith(FAILED), "the stage, the trial, what is done about it, and why"
    assert "killed or crashed without a message" in witness.said[0]
    assert any(said.startswith(FAILED) for said in witness.said[1:]), "it had got further"
    assert witness.notes == [("batch", 4), ("workers", 2), ("workers", 1)], "said once, though every group said it"


def test_a_machine_taken_away_after_notice_and_one_lost_without(study: Study, machines: Machines) -> None:
    machines.have(3)
    witness = Witness({12: machines.announce_the_end_of_a_machine, 27: machines.kill_a_machine})
    result = study.run(witness)
    assert_equal(result, study.undisturbed())
    notice, loss = witness.said
    assert notice == "train (tiny): its machine is being taken away; saved at step 12, resuming elsewhere"
    assert loss.startswith(FAILED), "the notice was no failure"


def test_a_worker_that_died_with_its_announced_machine_is_no_failure() -> None:
    death = ray.exceptions.RayActorError(preempted=True)
    of_a_group = ray.train.WorkerGroupError("rank 0", {0: WorkerHealthCheckFailedError("rank 0 is dead", death)})
    assert is_taken_away(of_a_group)
    crash = WorkerHealthCheckFailedError("rank 0 is dead", ray.exceptions.RayActorError())
    assert not is_taken_away(ray.train.WorkerGroupError("rank 0", {0: crash}))


def test_of_a_group_the_worker_that_died_is_the_cause() -> None:
    death = WorkerHealthCheckFailedError("rank 1 is dead", ray.exceptions.RayActorError())
    group = ray.train.WorkerGroupError("both", {0: RuntimeError("Connection closed by peer"), 1: death})
    assert "killed or crashed" in failure_by(group, "train").cause
    alone = ray.train.WorkerGroupError("one", {0: RuntimeError("the loss is not a number")})
    assert failure_by(alone, "train").cause == "RuntimeError: the loss is not a number"


def test_what_a_check_refuses_is_told_before_anything_starts(study: Study, machines: Machines) -> None:
    machines.have(1)
    witness = Witness()
    with pytest.raises(UserError, match=r"train: train\.refuse: got 'no such data'"):
        study.run(witness, refuse="no such data")
    assert witness.started == []
    assert not Store(Home(study.folder / "cluster").store_url).files.names("progress")
