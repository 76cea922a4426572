"""A job's log as it grows: every line once, however often the connection drops, until the job is over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from itertools import chain, repeat

from ray.job_submission import JobDetails

from assay.errors import ClusterError, UnknownJob
from assay.jobs.cluster import LOST, Cluster

SILENCE_S = 60.0
"""A connection that says nothing for so long may be gone without a word."""
GIVE_UP_S = 600.0
"""Of no answer at all."""
PAUSES_S = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Between one try and the next; the last is repeated."""


def follow(cluster: Cluster, job_id: str) -> Iterator[str]:
    """The job's lines, from the first on. Ends when the job has: what the connection does is no sign of it.

    Raises ClusterError when the cluster stays away for ten minutes, or comes back without the job.
    """
    told, line = 0, ""
    is_over, in_vain = False, 0
    while not is_over:
        # Asked before the log is read, so that nothing can follow what is read then.
        is_over = patiently(cluster, job_id).status.is_terminal()
        read, before = 0, told
        for text in [cluster.log(job_id)] if is_over else _tail(cluster, job_id):
            new = text[max(0, told - read) :]  # every reading begins at the start of the log
            read += len(text)
            told = max(told, read)
            *lines, line = (line + new).split("\n")
            yield from lines
        in_vain = in_vain + 1 if told == before else 0
        if in_vain and not is_over:
            time.sleep(PAUSES_S[min(in_vain, len(PAUSES_S)) - 1])
    if line:
        yield line


def patiently(cluster: Cluster, job_id: str) -> JobDetails:
    """The job as it is now, asked again while the cluster does not answer. Raises ClusterError after ten minutes."""
    deadline = time.monotonic() + GIVE_UP_S
    for pause in chain(PAUSES_S, repeat(PAUSES_S[-1])):
        try:
            return cluster.job(job_id)
        except UnknownJob:
            raise
        except ClusterError:
            if time.monotonic() > deadline:
                raise
        time.sleep(pause)
    raise AssertionError


def _tail(cluster: Cluster, job_id: str) -> Iterator[str]:
    """Pieces of the log from its start, until the connection ends, for whatever reason."""
    with asyncio.Runner() as runner:
        pieces = cluster.client.tail_job_logs(job_id)
        try:
            while (piece := runner.run(_next(pieces))) is not None:
                yield piece
        except (*LOST, RuntimeError):
            return  # whoever follows asks the cluster what became of the job, and hears there what is wrong
        finally:
            runner.run(pieces.aclose())


async def _next(pieces: object) -> str | None:
    return await asyncio.wait_for(anext(pieces, None), SILENCE_S)  # type: ignore[call-overload]
