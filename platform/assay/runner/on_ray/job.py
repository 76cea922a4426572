"""A stage to compute on the cluster, and the executor of its kind.

Executors are imported when used: a worker that samples has no use for Ray Train, and every import delays its start.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from dataclasses import dataclass
from typing import Any

import ray

from assay.runner.events import Event
from assay.runner.needs import need, threads
from assay.runner.on_ray.broker_actor import RemoteEmit
from assay.runner.pause import Paused
from assay.runner.work import Place, here
from assay.spec import Resources
from assay.store import Store
from assay.workload import Stage

LOOK_S = 0.5
"""How often one who works looks whether the run pauses."""


@dataclass(frozen=True)
class Job:
    """What a worker needs to compute a stage."""

    stage: Stage
    store_url: str
    scratch_url: str
    resources: Resources
    retries: int
    units: int
    """How much the broker granted: the workers of a training."""
    broker: Any

    @property
    def emit(self) -> RemoteEmit:
        return RemoteEmit(self.broker)

    def warn(self, message: str) -> None:
        self.emit(Event("warning", self.stage.key, message=f"{self.stage.name}: {message}"))

    def place(self) -> Place:
        """Where a body of this process runs: Ray does not hide GPUs from those that asked for none."""
        count = threads(self.stage, self.resources)
        return here(count) if need(self.stage, self.resources).unit.get("GPU") else Place("cpu", count)

    def store(self) -> Store:
        """The store as a worker opens it: what it has to say reaches the driver."""
        emit = self.emit
        return Store(self.store_url, report=lambda message: emit(Event("warning", message=message)))


def execute(job: Job) -> None:
    """Compute and commit the job's stage; blocks, and raises what the body raised, or Paused."""
    if job.stage.kind == "train":
        from assay.runner.on_ray.train import train

        train(job)
    elif job.stage.kind == "map":
        from assay.runner.on_ray.fan_out import fan_out

        _until_paused(job, fan_out)
    else:
        from assay.runner.on_ray.task import reduce_task

        _until_paused(job, reduce_task)


def _until_paused(job: Job, work: Callable[[Job], None]) -> None:
    """Do the work; or leave it when the run pauses: its shards are stored, and a reduction is short."""
    done: Future[None] = Future()

    def run() -> None:
        try:
            work(job)
            done.set_result(None)
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    while not wait_for([done], LOOK_S).done:
        if ray.get(job.broker.is_paused.remote()):
            raise Paused
    done.result()
