"""A job's log as it grows: every line once, however often the connection drops, until the job is over."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing
from itertools import chain, repeat
from queue import SimpleQueue
from typing import TypeVar

from assay.errors import ClusterError, UnknownJob
from assay.jobs.cluster import LOST, Cluster, answers_within

SILENCE_S = 60.0
"""A connection that says nothing for so long may be gone without a word."""
GIVE_UP_S = 600.0
"""Seconds without any answer before giving up."""
PAUSES_S = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Between one try and the next; the last is repeated."""
LEAST_ANSWER_S = 1.0
"""Whoever asks at all waits so long for the answer."""

Answer = TypeVar("Answer")


def follow(cluster: Cluster, job_id: str) -> Iterator[str]:
    """The job's lines, from the first on. Ends when the job has: what the connection does is no sign of it.

    Raises ClusterError when the cluster stays away for ten minutes, or comes back without the job.
    """
    told, line = 0, ""
    is_over, in_vain = False, 0
    while not is_over:
        # Asked before the log is read, so that nothing can follow what is read then.
        is_over = patiently(lambda: cluster.job(job_id)).status.is_terminal()
        read, before = 0, told
        for text in [patiently(lambda: cluster.log(job_id))] if is_over else _tail(cluster, job_id):
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


def patiently(ask: Callable[[], Answer], deadline: float = math.inf) -> Answer:
    """What the cluster answers, asked again while it does not.

    Raises ClusterError after ten minutes of that, and TimeoutError once it is past `deadline`, as time.monotonic()
    counts.
    """
    give_up = time.monotonic() + GIVE_UP_S
    for pause in chain(PAUSES_S, repeat(PAUSES_S[-1])):
        try:
            with answers_within(max(LEAST_ANSWER_S, deadline - time.monotonic())):
                return ask()
        except UnknownJob:
            raise
        except ClusterError as error:
            now = time.monotonic()
            if now >= deadline:
                raise TimeoutError(str(error)) from error
            if now > give_up:
                raise
        time.sleep(min(pause, deadline - now))
    raise AssertionError


def _tail(cluster: Cluster, job_id: str) -> Iterator[str]:
    """Pieces of the log from its start, until the connection ends, for whatever reason.

    They are read in a thread: who follows may be inside an event loop, as everything in a notebook is.
    """
    pieces: SimpleQueue[str | None] = SimpleQueue()
    loop = asyncio.new_event_loop()
    reading = loop.create_task(_read(cluster, job_id, pieces))
    thread = threading.Thread(target=loop.run_until_complete, args=(asyncio.wait([reading]),), daemon=True)
    thread.start()
    try:
        while (piece := pieces.get()) is not None:
            yield piece
    finally:
        loop.call_soon_threadsafe(reading.cancel)
        thread.join()
        loop.close()
    reading.result()


async def _read(cluster: Cluster, job_id: str, pieces: SimpleQueue[str | None]) -> None:
    """Put the pieces of the log, and None after the last."""
    try:
        async with aclosing(cluster.client.tail_job_logs(job_id)) as log:
            while (piece := await asyncio.wait_for(anext(log, None), SILENCE_S)) is not None:
                pieces.put(piece)
    except (*LOST, RuntimeError):
        return  # whoever follows asks the cluster what became of the job, and hears there what is wrong
    finally:
        pieces.put(None)
