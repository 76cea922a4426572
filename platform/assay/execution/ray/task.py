"""Reductions and checks as Ray tasks."""

from __future__ import annotations

from collections.abc import Sequence

import ray

from assay.execution.ray.job import Job
from assay.execution.work import reduce
from assay.planning.checks import Check, Finding, findings


def reduce_task(job: Job) -> None:
    group = job.resources.reduce
    task = ray.remote(_reduce).options(
        num_cpus=group.cpus, num_gpus=group.gpus, max_retries=0, scheduling_strategy="DEFAULT"
    )
    ray.get(task.remote(job))


def _reduce(job: Job) -> None:
    with job.failures_told():
        reduce(job.stage, job.store(), job.place(), job.emit)


def remote_findings(checks: Sequence[Check]) -> list[Finding]:
    """`findings`, asked where stages run: what they need may be there and not here. One task, since they are quick."""
    try:
        return ray.get(ray.remote(findings).options(num_cpus=1).remote(checks))
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
