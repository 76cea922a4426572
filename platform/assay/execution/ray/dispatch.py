"""Compute a stage on the cluster: by the executor of its kind, and again if another attempt may help.

Executors are imported when used: a sampling worker does not need Ray Train, and every import delays its start.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import wait as wait_for
from dataclasses import replace

import ray

from assay.execution.pause import Paused
from assay.execution.ray.aside import aside
from assay.execution.ray.deaths import failure_by, kernel_kills
from assay.execution.ray.job import POLL_S, CutOff, Job, StageEnded
from assay.execution.retries import Failure, may_help
from assay.execution.work import pending


def execute(job: Job) -> None:
    """Compute and commit the job's stage; blocks, and raises StageEnded or Paused.

    A failed attempt is followed by another that resumes from what is stored: up to `job.retries` times without
    progress, and only if the outcome may differ. Causes outside the stage do not count: a machine that is taken away, a
    cluster without room.
    """
    run = _executor(job)
    failures: list[Failure] = []
    furthest = -1
    while True:
        killed = kernel_kills()
        try:
            run(job)
            return
        except Paused:
            raise
        except CutOff as reason:
            what = str(reason)
        except Exception as error:
            reported = ray.get(job.broker.reported.remote(job.stage.key))
            observed = failure_by(error, job.stage.kind, kernel_kills() - killed)
            failure = reported if reported is not None and observed.place is not None else observed
            if (reached := _reached(job)) > furthest:
                failures, furthest = [], reached
            failures.append(failure)
            if not may_help(failures, job.retries):
                raise StageEnded(failure) from error
            who, whence = ("a worker", "the last checkpoint") if job.stage.kind == "train" else ("it", "what is stored")
            what = f"{who} failed; retry {len(failures)} of {job.retries}, from {whence}: {failure.cause}"
        before, units = job.units, ray.get(job.broker.again.remote(job.stage.key))
        if not units:
            raise Paused
        job = replace(job, units=units)
        job.warn(what)
        if units != before and job.stage.kind == "train":
            job.warn(f"continues with {units} of at most {job.need.most} workers")


def _executor(job: Job) -> Callable[[Job], None]:
    if job.stage.kind == "train":
        from assay.execution.ray.train import train

        return train
    if job.stage.kind == "map":
        from assay.execution.ray.fan_out import fan_out

        return lambda job: _until_paused(job, fan_out)
    from assay.execution.ray.task import reduce_task

    return lambda job: _until_paused(job, reduce_task)


def _reached(job: Job) -> int:
    """How much of the work is stored."""
    store, stage = job.store(), job.stage
    if stage.kind == "train":
        return max((step for step in store.checkpoints(stage).steps() if step <= stage.amount), default=0)
    if stage.kind == "map":
        return sum(each.amount - sum(stop - start for start, stop in pending(each, store)) for each in job.stages)
    return 0


def _until_paused(job: Job, work: Callable[[Job], None]) -> None:
    """Do the work, or leave it if the run pauses: its shards are stored, and a reduction is short."""
    done = aside(lambda: work(job))
    while not wait_for([done], POLL_S).done:
        if ray.get(job.broker.is_paused.remote()):
            raise Paused
    done.result()
