"""Training on Ray Train: a worker group that runs a train body."""

from __future__ import annotations

from typing import Any

import ray.train
import ray.train.torch

from assay.runner.needs import threads
from assay.runner.on_ray.job import Job
from assay.runner.work import here, train_worker


def train(job: Job) -> None:
    """A worker group that runs the body; rank 0 commits. A worker that dies restarts the group from a checkpoint."""
    group = job.resources.train
    trainer = ray.train.torch.TorchTrainer(
        _train_loop,
        train_loop_config={"job": job},
        scaling_config=ray.train.ScalingConfig(
            num_workers=group.workers,
            use_gpu=group.gpus_per_worker > 0,
            resources_per_worker={"CPU": group.cpus_per_worker, "GPU": group.gpus_per_worker},
        ),
        run_config=ray.train.RunConfig(
            name=f"{job.stage.name}-{job.stage.key[:12]}",
            storage_path=job.scratch_url,
            failure_config=ray.train.FailureConfig(max_failures=job.retries),
        ),
    )
    trainer.fit()


def _train_loop(config: dict[str, Any]) -> None:
    job: Job = config["job"]
    context = ray.train.get_context()
    place = here(threads(job.stage, job.resources))
    train_worker(
        job.stage,
        job.store(),
        place,
        job.emit,
        rank=context.get_world_rank(),
        world_size=context.get_world_size(),
    )
