"""Reductions as Ray tasks."""

from __future__ import annotations

import ray

from assay.execution.ray.job import Job
from assay.execution.work import reduce


def reduce_task(job: Job) -> None:
    cpus, gpus = job.need.unit.get("CPU", 0.0), job.need.unit.get("GPU", 0.0)
    task = ray.remote(_reduce).options(num_cpus=cpus, num_gpus=gpus, max_retries=0, scheduling_strategy="DEFAULT")
    ray.get(task.remote(job))


def _reduce(job: Job) -> None:
    with job.failures_told():
        reduce(job.stage, job.store(), job.place(), job.emit)
