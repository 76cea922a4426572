"""Trainings that lose workers and machines, on a local cluster of several nodes: the result is as if nothing happened.

Nodes come and go on one cluster, since a start of Ray takes seconds. A training waits at a gate for what is to happen
to it there, so that nothing depends on the clock.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ray._raylet import GcsClient
from ray.cluster_utils import Cluster
from ray.core.generated import autoscaler_pb2

import assay
import toy_workload
from assay.errors import UserError
from assay.home import Home
from assay.runner import Event, Outcome
from assay.spec import Sweep, load_sweep
from assay.store import Store, StoredResult
from assay.workload import Stage

pytestmark = pytest.mark.cluster

TESTS = Path(__file__).resolve().parents[1]

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


class TrainingAlone(toy_workload.Toy):
    """The toy's training and nothing else."""

    def stages(self, config: Any) -> list[Stage]:
        return [stage for leaf in super().stages(config) for stage in leaf.inputs["samples"].inputs.values()]

    def metrics(self, config: Any) -> list[str]:
        return ["loss", "sum"]


class Witness:
    """A listener that does something to the cluster when the training waits at a gate.

    A deed returns whether the gate opens then: whoever comes there again may pass.
    """

    def __init__(self, deeds: dict[int, Callable[[], bool]] | None = None) -> None:
        self.deeds = deeds or {}
        self.gates = Path()
        self.said: list[str] = []
        self.notes: list[tuple[str, Any]] = []
        self.started: list[str] = []

    def begin(self, *_: object) -> None: ...

    def end(self, outcome: Outcome) -> None: ...

    def event(self, event: Event) -> None:
        if event.kind == "started":
            self.started.append(event.key)
        elif event.kind == "warning":
            self.said.append(event.message)
        elif event.note is not None:
            self.notes.append(event.note)
        elif event.done in self.deeds and self.deeds.pop(event.done)():
            (self.gates / f"shut-{event.done}").unlink()


class Machines:
    """A local cluster whose head computes nothing, and machines of one CPU that come and go."""

    def __init__(self) -> None:
        soon_missed = {"health_check_period_ms": 200, "health_check_failure_threshold": 2}
        head = {"num_cpus": 0, "include_dashboard": False, "_system_config": soon_missed}
        self.cluster = Cluster(initialize_head=True, head_node_args=head)
        self.announced: set[str] = set()

    def have(self, count: int) -> None:
        """So many machines that nobody wants back."""
        for node in [node for node in self.nodes if node.node_id in self.announced]:
            self.cluster.remove_node(node)
        while len(self.nodes) < count:
            self.cluster.add_node(num_cpus=1)

    def training(self) -> dict[Any, list[int]]:
        """Machine → the training workers that run on it, by process id."""
        found = {node: training_workers(node.all_processes["raylet"][0].process.pid) for node in self.nodes}
        return {node: workers for node, workers in found.items() if workers}

    @property
    def nodes(self) -> list[Any]:
        return list(self.cluster.worker_nodes)

    # What befalls them

    def kill_a_worker(self) -> bool:
        os.kill(next(iter(self.training().values()))[0], signal.SIGKILL)
        return True

    def kill_a_machine(self) -> bool:
        node, workers = next(iter(self.training().items()))
        self.cluster.remove_node(node, allow_graceful=False)
        for worker in workers:  # they notice by themselves, but later
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
        return True

    def announce_the_end_of_a_machine(self) -> bool:
        """What a cloud says of a spot machine some time before it takes it."""
        (node,) = self.training()
        deadline_ms = int(time.time() * 1000) + 600_000
        reason = autoscaler_pb2.DrainNodeReason.DRAIN_NODE_REASON_PREEMPTION
        accepted, why_not = GcsClient(address=self.cluster.address).drain_node(node.node_id, reason, "", deadline_ms)
        assert accepted, why_not
        self.announced.add(node.node_id)
        return False  # the notice takes a moment to reach the training, which then goes on elsewhere


def training_workers(raylet: int) -> list[int]:
    """Process ids of the Ray Train workers of one raylet: its children."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == raylet and b"TrainWorker" in (process / "cmdline").read_bytes():
                found.append(int(process.name))
        except OSError:
            continue  # ended since it was listed
    return found


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(TESTS))  # workers import the toy
        patch.setenv("RAY_TRAIN_PREEMPTION_POLL_INTERVAL_S", "0.5")
        made = Machines()
        yield made
        made.cluster.shutdown()


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
        return load_sweep(file, find_workload=lambda name: TrainingAlone())

    def run(self, witness: Witness, **wanted: Any) -> StoredResult:
        self.gates.mkdir()
        witness.gates = self.gates
        for step in witness.deeds:
            (self.gates / f"shut-{step}").touch()
        home, address = Home(self.folder / "cluster"), self.machines.cluster.address
        outcome = assay.run(self.sweep(**wanted), home, address=address, listeners=[witness])
        assert not outcome.failed, outcome.failed[0].error
        assert not witness.deeds, "everything that was to happen did"
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
    result = study.run(witness, workers=[1, 3], retries=2)
    assert_equal(result, study.undisturbed())
    assert result.cost.count == 1
    assert result.cost.details["checkpoint_bytes"] > 0
    assert witness.said[0] == "train: a worker failed; retry 1 of 2, from the last checkpoint"
    assert witness.notes == [("batch", 4), ("workers", 2), ("workers", 1)], "said once, though every group said it"


def test_a_machine_taken_away_after_notice_and_one_lost_without(study: Study, machines: Machines) -> None:
    machines.have(3)
    witness = Witness({12: machines.announce_the_end_of_a_machine, 27: machines.kill_a_machine})
    result = study.run(witness)
    assert_equal(result, study.undisturbed())
    notice, *loss = witness.said
    assert notice == "train: its machine is being taken away; saved at step 12, going on elsewhere"
    # A loss is told here unless the trial was lost with it, which Tune starts again. The notice was no failure.
    assert loss in ([], ["train: a worker failed; retry 1 of 1, from the last checkpoint"])


def test_what_a_check_refuses_is_told_before_anything_starts(study: Study, machines: Machines) -> None:
    machines.have(1)
    witness = Witness()
    with pytest.raises(UserError, match=r"train: train\.refuse: got 'no such data'"):
        study.run(witness, refuse="no such data")
    assert witness.started == []
    assert not Store(Home(study.folder / "cluster").store_url).files.names("progress")
