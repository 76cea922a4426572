"""A local cluster whose machines come and go, and a witness of a run who makes them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ray._raylet import GcsClient
from ray.cluster_utils import Cluster
from ray.core.generated import autoscaler_pb2

from assay.execution import Event, Outcome

Deed = Callable[[], bool]
"""Does something to the cluster. Returns whether the gate opens then: whoever comes there again may pass."""


class Witness:
    """A listener that does something to the cluster when a training waits at the gate of a step, once at each gate."""

    def __init__(self, deeds: Mapping[int, Deed] | None = None) -> None:
        self.deeds = deeds or {}
        self.gates = Path()
        self.struck: list[Path] = []
        self.said: list[str] = []
        self.notes: list[tuple[str, Any]] = []
        self.started: list[str] = []
        self.outcome: Outcome | None = None

    def gate(self, event: Event) -> Path:
        return self.gates / f"shut-{event.done}"

    def begin(self, *_: object) -> None: ...

    def end(self, outcome: Outcome) -> None:
        self.outcome = outcome

    def event(self, event: Event) -> None:
        if event.kind == "started":
            self.started.append(event.key)
        elif event.kind == "warning":
            self.said.append(event.message)
        elif event.note is not None:
            self.notes.append(event.note)
        elif event.done in self.deeds and (gate := self.gate(event)) not in self.struck:
            self.struck.append(gate)
            if self.deeds[event.done]():
                gate.unlink()


class Machines:
    """A local cluster whose head computes nothing, and machines of one CPU that come and go."""

    def __init__(self) -> None:
        soon_missed = {"health_check_period_ms": 200, "health_check_failure_threshold": 2}
        head = {"num_cpus": 0, "include_dashboard": False, "_system_config": soon_missed}
        # Not at exit: its handlers of signals can only be set in the main thread, and machines come in another.
        self.cluster = Cluster(initialize_head=True, head_node_args=head, shutdown_at_exit=False)
        self.announced: set[str] = set()

    def have(self, count: int) -> None:
        """So many machines that nobody wants back."""
        for node in [node for node in self.nodes if node.node_id in self.announced]:
            self.cluster.remove_node(node)
        while len(self.nodes) < count:
            self.cluster.add_node(num_cpus=1)

    def training(self) -> dict[Any, list[int]]:
        """Machine → the training workers that run on it, by process id."""
        raylets = {node: node.all_processes["raylet"][0].process.pid for node in self.nodes}
        found = {node: children(raylet, b"TrainWorker") for node, raylet in raylets.items()}
        return {node: workers for node, workers in found.items() if workers}

    @property
    def nodes(self) -> list[Any]:
        return list(self.cluster.worker_nodes)

    # What befalls them

    def kill_a_worker(self) -> bool:
        os.kill(next(iter(self.training().values()))[0], signal.SIGKILL)
        return True

    def kill_a_trial(self) -> bool:
        return self._kill_on_the_head(b"ImplicitFunc")

    def kill_a_controller(self) -> bool:
        """The process that looks after a training's workers."""
        return self._kill_on_the_head(b"TrainController")

    def kill_the_broker(self) -> bool:
        return self._kill_on_the_head(b"BrokerActor")

    def _kill_on_the_head(self, title: bytes) -> bool:
        (process,) = children(self.cluster.head_node.all_processes["raylet"][0].process.pid, title)
        os.kill(process, signal.SIGKILL)
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
        node = next(iter(self.training()))
        deadline_ms = int(time.time() * 1000) + 600_000
        reason = autoscaler_pb2.DrainNodeReason.DRAIN_NODE_REASON_PREEMPTION
        accepted, why_not = GcsClient(address=self.cluster.address).drain_node(node.node_id, reason, "", deadline_ms)
        assert accepted, why_not
        self.announced.add(node.node_id)
        return False  # the notice takes a moment to reach the training, which then goes on elsewhere


def children(raylet: int, title: bytes) -> list[int]:
    """Process ids of one raylet's workers that are called so."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == raylet and title in (process / "cmdline").read_bytes():
                found.append(int(process.name))
        except OSError:
            continue  # ended since it was listed
    return found
