"""Executors by name, and the protocol that each of them implements."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from assay.events import Emit
from assay.execution.packing import Machine
from assay.execution.pause import Pause
from assay.execution.rung_decisions import RungDecisions
from assay.planning import Plan
from assay.registry import Registry
from assay.store import Store
from assay.workload import load_attribute


class Executor(Protocol):
    """Computes the stages of a plan. One is made per run, and used within its session."""

    def session(self, address: str | None, scratch_url: str, log: Path) -> AbstractContextManager[object]:
        """Connect to the machines that compute, at `address` if given, and disconnect afterwards. A folder below
        `scratch_url` is used meanwhile; unsolicited output of libraries goes to the log."""

    def capacity(self) -> Sequence[Machine]:
        """The resources of each machine."""

    def check(self, plan: Plan, done: Collection[str], emit: Emit) -> None:
        """Raise UserError if stages that are not done cannot run here: they do not fit, or their own checks refuse.
        Warnings of those checks are emitted."""

    def run(self, plan: Plan, store: Store, done: Sequence[str], decisions: RungDecisions, pause: Pause) -> None:
        """Compute every stage of the plan that is not done, rung by rung as decided, and commit each.

        Events go to `decisions.emit`, one at a time: a stage starts, progresses, and is committed or fails. A failed
        stage fails only the trials that need it. When asked to pause, returns as soon as the trainings have saved.
        Raises ClusterLost if the cluster is gone.
        """


@dataclass(frozen=True)
class ExecutorFacts:
    implementation: str
    """Import path of the class."""
    is_in_process: bool = False
    """Bodies run in this process: they may use its terminal, for a debugger, and need their packages here."""


EXECUTORS = Registry[ExecutorFacts]("executor", "assay.executors")
EXECUTORS.register("ray", ExecutorFacts("assay.execution.ray.executor:RayExecutor"))
EXECUTORS.register("inline", ExecutorFacts("assay.execution.inline:InlineExecutor", is_in_process=True))


def make_executor(name: str) -> Executor:
    return load_attribute(EXECUTORS[name].implementation)()
