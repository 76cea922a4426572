"""Training on Ray Train: a worker group that runs a train body."""

from __future__ import annotations

import uuid
from typing import Any

import ray
import ray.train
import ray.train.torch

from assay.errors import AssayError
from assay.runner.needs import threads
from assay.runner.on_ray.job import Job
from assay.runner.work import here, train_worker


def train(job: Job) -> None:
    """A worker group that runs the body; rank 0 commits.

    A worker that dies starts the group again, from the last checkpoint, up to `job.retries` times. What the body says
    cannot be done (an AssayError: a loss that is no number, data that does not fit) is not tried again.
    """
    failures = 0
    while True:
        try:
            _trainer(job).fit()
            return
        except ray.train.TrainingFailedError:
            refusal = ray.get(job.broker.refusal.remote(job.stage.key))
            if refusal is not None:
                raise AssayError(refusal) from None
            failures += 1
            if failures > job.retries:
                raise


def _trainer(job: Job) -> ray.train.torch.TorchTrainer:
    group = job.resources.train
    return ray.train.torch.TorchTrainer(
        _train_loop,
        train_loop_config={"job": job},
        scaling_config=ray.train.ScalingConfig(
            num_workers=group.workers,
            use_gpu=group.gpus_per_worker > 0,
            resources_per_worker={"CPU": group.cpus_per_worker, "GPU": group.gpus_per_worker},
        ),
        # Checkpoints are the store's; Train's own folder holds nothing that is read again.
        run_config=ray.train.RunConfig(name=f"{job.stage.name}-{uuid.uuid4().hex[:12]}", storage_path=job.scratch_url),
    )


def _train_loop(config: dict[str, Any]) -> None:
    job: Job = config["job"]
    context = ray.train.get_context()
    place = here(threads(job.stage, job.resources))
    rank, world_size = context.get_world_rank(), context.get_world_size()
    try:
        train_worker(job.stage, job.store(), place, job.emit, rank=rank, world_size=world_size)
    except AssayError as error:
        ray.get(job.broker.refuse.remote(job.stage.key, str(error)))
        raise
