"""What a worker needs to compute a stage, and how an attempt ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray

from assay.events import Event
from assay.execution.ray.broker_actor import RemoteEmit
from assay.execution.ray.deaths import failure_in
from assay.execution.requirements import Need
from assay.execution.retries import Failure
from assay.execution.work import Place, here
from assay.planning.passes import Pass
from assay.store import Store
from assay.workload import Stage

POLL_S = 0.5
"""How often a worker checks whether the run pauses."""


class StageEnded(Exception):
    """A stage failed for good."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        super().__init__(failure.cause)


class CutOff(Exception):
    """An attempt ended early through no fault of the stage; the message says why."""


@dataclass(frozen=True)
class Job:
    """What a worker needs to compute a stage."""

    stage: Stage
    beside: tuple[Stage, ...]
    """Map stages that are computed in the same pass."""
    title: str
    """The stage and its trials: "train (AdaGN)"."""
    store_url: str
    origin: str
    """The run's origin; see `Store.begin`."""
    scratch_url: str
    need: Need
    retries: int
    units: int
    """How much the broker granted: workers of a training, or actors of a fan-out."""
    broker: Any

    @property
    def stages(self) -> Pass:
        return (self.stage, *self.beside)

    @property
    def emit(self) -> RemoteEmit:
        return RemoteEmit(self.broker)

    def warn(self, message: str) -> None:
        self.emit(Event("warning", self.stage.key, message=f"{self.title}: {message}"))

    def place(self) -> Place:
        """The device for bodies in this process: Ray does not hide GPUs from tasks that asked for none."""
        count = self.need.threads
        return here(count) if self.need.unit.get("GPU") else Place("cpu", count)

    def store(self) -> Store:
        """The store as a worker opens it: its messages go to the driver."""
        emit = self.emit
        return Store(self.store_url, report=lambda message: emit(Event("warning", message=message)), origin=self.origin)

    @contextmanager
    def failures_told(self) -> Iterator[None]:
        """In a worker: report what the body raises to the broker, before Ray wraps it."""
        try:
            yield
        except Exception as error:
            ray.get(self.broker.report.remote(self.stage.key, failure_in(error, self.stage.kind)))
            raise
