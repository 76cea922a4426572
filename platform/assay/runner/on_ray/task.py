"""Reductions as Ray tasks."""

from __future__ import annotations

import ray

from assay.runner.needs import threads
from assay.runner.on_ray.job import Job
from assay.runner.work import here, reduce


def reduce_task(job: Job) -> None:
    group = job.resources.reduce
    task = ray.remote(_reduce).options(
        num_cpus=group.cpus, num_gpus=group.gpus, max_retries=job.retries, scheduling_strategy="DEFAULT"
    )
    ray.get(task.remote(job))


def _reduce(job: Job) -> None:
    place = here(threads(job.stage, job.resources))
    reduce(job.stage, job.store(), place, job.emit)
