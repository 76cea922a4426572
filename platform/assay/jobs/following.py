"""Follow a job's log: every line once, however often the connection drops, until the job ends."""

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
"""Timeout of a silent connection, which may be dead."""
GIVE_UP_S = 600.0
"""Seconds without any answer before giving up."""
PAUSES_S = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Pauses between retries; the last is repeated."""
LEAST_ANSWER_S = 1.0
"""Wait at least this long for an answer, even near a deadline."""

Answer = TypeVar("Answer")


def follow(cluster: Cluster, job_id: str) -> Iterator[str]:
    """Yield every line of the job's log, until the job ends; the connection may end earlier.

    Raises ClusterError if the cluster does not answer for ten minutes, or comes back without the job.
    """
    seen, line = 0, ""
    is_over, failures = False, 0
    while not is_over:
        # Ask before reading the log, so that nothing is printed after the last reading.
        is_over = patiently(lambda: cluster.job(job_id)).status.is_terminal()
        read, before = 0, seen
        for text in [patiently(lambda: cluster.log(job_id))] if is_over else _tail(cluster, job_id):
            new = text[max(0, seen - read) :]  # every reading starts at the beginning of the log
            read += len(text)
            seen = max(seen, read)
            *lines, line = (line + new).split("\n")
            yield from lines
        failures = failures + 1 if seen == before else 0
        if failures and not is_over:
            time.sleep(PAUSES_S[min(failures, len(PAUSES_S)) - 1])
    if line:
        yield line


def patiently(ask: Callable[[], Answer], deadline: float = math.inf) -> Answer:
    """The cluster's answer, asking again while there is none.

    Raises ClusterError after ten minutes of that, and TimeoutError after `deadline`, on the clock of time.monotonic().
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
    """Pieces of the log from its start, until the connection ends for any reason.

    Read in a thread, since the caller may be inside an event loop, as all code in a notebook is.
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
    """Queue the pieces of the log, and None after the last."""
    try:
        async with aclosing(cluster.client.tail_job_logs(job_id)) as log:
            while (piece := await asyncio.wait_for(anext(log, None), SILENCE_S)) is not None:
                pieces.put(piece)
    except (*LOST, RuntimeError):
        return  # the caller then asks for the job's status, and gets the error there
    finally:
        pieces.put(None)
