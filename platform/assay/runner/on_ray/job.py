"""A stage to compute on the cluster, and the executor of its kind.

Executors are imported when used: a worker that samples has no use for Ray Train, and every import delays its start.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from assay.runner.events import Event
from assay.runner.on_ray.broker_actor import RemoteEmit
from assay.spec import Resources
from assay.store import Store
from assay.workload import Stage


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

    def store(self) -> Store:
        """The store as a worker opens it: what it has to say reaches the driver."""
        emit = self.emit
        return Store(self.store_url, report=lambda message: emit(Event("warning", message=message)))


def execute(job: Job) -> None:
    """Compute and commit the job's stage; blocks, and raises what the body raised."""
    if job.stage.kind == "train":
        from assay.runner.on_ray.train import train

        train(job)
    elif job.stage.kind == "map":
        from assay.runner.on_ray.fan_out import fan_out

        fan_out(job)
    else:
        from assay.runner.on_ray.task import reduce_task

        reduce_task(job)
