"""Training on Ray Train: a worker group that runs a train body.

Each attempt is a new run of Ray Train. Train's own restarts (max_failures, elastic workers) would save a few seconds,
but count resources that other stages hold as free, keep counting a lost node for up to 20 s, and cannot tell a body's
refusal from a crash. So the broker, which knows all that, decides how many workers start.
"""

from __future__ import annotations

import os
import time
import uuid
from typing import Any

import ray
import ray.train
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

from assay.execution.ranks import Ranks
from assay.execution.ray import private
from assay.execution.ray.group import ProcessGroup
from assay.execution.ray.job import POLL_S, CutOff, Job
from assay.execution.ray.session import QUIET
from assay.execution.work import Place, train_worker


def train(job: Job) -> None:
    """One worker group, which resumes from the last checkpoint; rank 0 commits."""
    os.environ |= {name: os.environ.get(name, value) for name, value in QUIET.items()}  # the controller reads it here
    try:
        left_at = private.without_helpers(_trainer(job)).fit().return_value
    except ray.train.TrainingFailedError as error:
        if is_taken_away(error):
            raise CutOff("its machine was taken away; resuming elsewhere from the last checkpoint") from error
        if _has_no_room(error):
            raise CutOff("the cluster has no room for its workers now; trying again") from error
        raise
    if left_at is not None:
        raise CutOff(f"its machine is being taken away; saved at step {left_at:,}, resuming elsewhere")


def _trainer(job: Job) -> DataParallelTrainer:
    cpus, gpus = job.need.unit.get("CPU", 0.0), job.need.unit.get("GPU", 0.0)
    return DataParallelTrainer(
        _train_loop,
        train_loop_config={"job": job},
        backend_config=ProcessGroup("nccl" if gpus > 0 else "gloo"),
        scaling_config=ray.train.ScalingConfig(
            num_workers=job.units,
            use_gpu=gpus > 0,
            resources_per_worker={"CPU": cpus, "GPU": gpus},
        ),
        # Checkpoints are in the store; nothing in Train's own folder is read again.
        run_config=ray.train.RunConfig(
            name=f"{job.stage.name}-{uuid.uuid4().hex[:12]}",
            storage_path=job.scratch_url,
            failure_config=ray.train.FailureConfig(controller_failure_limit=0, max_preemption_failures=0),
        ),
    )


def _train_loop(config: dict[str, Any]) -> int | None:
    """Runs on every worker. Returns the step at which the body left, or None when it is done."""
    job: Job = config["job"]
    context = ray.train.get_context()
    ranks = Ranks(context.get_world_rank(), context.get_world_size())
    with job.failures_told():
        return train_worker(job.stage, job.store(), _place(job), job.emit, ranks, _Notice(job))


def _place(job: Job) -> Place:
    """The device of this worker. On CPUs its body alone decides whether torch is imported, which takes seconds."""
    if not job.need.unit.get("GPU"):
        return job.place()
    from ray.train.torch import get_device

    return Place(str(get_device()), job.need.threads)


class _Notice:
    """Whether this worker should leave, since its machine is taken away or the run pauses. Checks now and then."""

    def __init__(self, job: Job) -> None:
        self._node = ray.get_runtime_context().get_node_id()
        self._broker = job.broker
        self._asked = job.broker.is_paused.remote()
        self._looked = 0.0
        self._is_leaving = False

    def __call__(self) -> bool:
        if not self._is_leaving and time.monotonic() - self._looked > POLL_S:
            self._is_leaving = self._is_paused() or self._node in private.leaving_nodes()
            self._looked = time.monotonic()
        return self._is_leaving

    def _is_paused(self) -> bool:
        """By the last answer: a step does not wait for a new one."""
        if not ray.wait([self._asked], timeout=0)[0]:
            return False
        answer, self._asked = ray.get(self._asked), self._broker.is_paused.remote()
        return bool(answer)


def is_taken_away(error: ray.train.TrainingFailedError) -> bool:
    """Whether a group ended because one of its machines was announced to go, and went."""
    if isinstance(error, ray.train.PreemptionError):
        return True
    failures = error.worker_failures.values() if isinstance(error, ray.train.WorkerGroupError) else ()
    # A worker that died counts as a failed health check, whose message says why.
    deaths = [f.health_check_failure if private.is_without_word(f) else f for f in failures]
    return any(isinstance(death, ray.exceptions.RayActorError) and death.preempted for death in deaths)


def _has_no_room(error: ray.train.TrainingFailedError) -> bool:
    return isinstance(error, ray.train.ControllerError) and private.is_without_room(error.controller_failure)
