"""What computes a plan: the executors by name, and the protocol that each of them keeps."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from assay.execution.events import Emit
from assay.execution.packing import Machine
from assay.execution.pause import Pause
from assay.execution.rung_decisions import RungDecisions
from assay.planning import Plan
from assay.registry import Registry
from assay.store import Store
from assay.workload import load_attribute


class Executor(Protocol):
    """Computes the stages of a plan. One is made for a run, and used within its session."""

    def session(self, address: str | None, scratch_url: str, log: Path) -> AbstractContextManager[object]:
        """Connects to what computes, at an address where one is given, and leaves it as it was found. A folder below
        `scratch_url` may be used meanwhile; what a library says that nobody asked goes to the log."""

    def capacity(self) -> Sequence[Machine]:
        """What each machine has to give."""

    def check(self, plan: Plan, done: Collection[str], emit: Emit) -> None:
        """Raise UserError where stages that are not done cannot run here: they do not fit, or their own checks refuse
        it. What those warn of is emitted."""

    def run(self, plan: Plan, store: Store, done: Sequence[str], decisions: RungDecisions, pause: Pause) -> None:
        """Compute every stage of the plan that is not done, rung by rung as is decided, and commit each.

        Events go to `decisions.emit`, from one thread at a time: a stage is started, progresses, and is committed or
        failed. A stage that fails costs the trials that need it, and no others. Returns early when asked to pause, as
        soon as the trainings have saved. Raises ClusterLost where what computes is gone.
        """


@dataclass(frozen=True)
class ExecutorFacts:
    implementation: str
    """Import path of the class."""
    is_in_process: bool = False
    """Bodies run in this process: its terminal is theirs, for a debugger, and what is missing here is missing."""


EXECUTORS = Registry[ExecutorFacts]("executor", "assay.executors")
EXECUTORS.register("ray", ExecutorFacts("assay.execution.ray.executor:RayExecutor"))
EXECUTORS.register("inline", ExecutorFacts("assay.execution.inline:InlineExecutor", is_in_process=True))


def make_executor(name: str) -> Executor:
    return load_attribute(EXECUTORS[name].implementation)()
