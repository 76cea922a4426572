"""Why an attempt at a stage ended, if no body raised: a killed process, lack of memory, a lost machine."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import ray

from assay.execution.ray import private
from assay.execution.retries import Failure, failure_of
from assay.workload import StageKind

KERNEL_KILLS = (Path("/sys/fs/cgroup/memory.events"), Path("/proc/vmstat"))
"""Where the kernel counts processes killed for memory: in this container, else on this machine."""
USED = re.compile(r"was ([\d.]+ ?\w+) used / ([\d.]+ ?\w+) limit")
"""Part of Ray's message about a process that it ended for memory."""
RAY_ENDED = "Ray ended its process, since memory ran short on the machine"
SILENT = "its process was killed or crashed without a message: often by the kernel, for lack of memory"
LOST_MACHINE = "its machine was lost"
TO_LOWER: dict[StageKind, str] = {
    "train": "lower its micro_batch, or let fewer workers share a machine (under resources: workers, cpus_per_worker)",
    "map": "lower its batch_size, or let fewer actors share a machine (under resources: actors, cpus_per_actor)",
    "reduce": "lower how much it holds at once, or let fewer stages share a machine (under resources: cpus)",
}


def kernel_kills(counters: Sequence[Path] = KERNEL_KILLS) -> int:
    """How many processes the kernel has killed here for lack of memory, if it counts them."""
    for counter in counters:
        if counter.is_file():
            counts = dict(line.split()[:2] for line in counter.read_text().splitlines() if len(line.split()) > 1)
            if "oom_kill" in counts:
                return int(counts["oom_kill"])
    return 0


def failure_in(error: BaseException, kind: StageKind) -> Failure:
    """The failure that a body raised, with what to lower if memory ran out."""
    failure = failure_of(error)
    is_of_memory = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"  # torch's
    if not is_of_memory:
        return failure
    return replace(failure, trace=f"{failure.trace}\n{failure.cause}; {TO_LOWER[kind]}")


def failure_by(error: BaseException, kind: StageKind, killed: int = 0) -> Failure:
    """The failure of an attempt that Ray reports. `killed`: processes that the kernel killed here for memory."""
    cause, *_ = sorted(_causes(error), key=lambda cause: not _is_death(cause))  # the others only lost contact
    if not _is_death(cause):
        return failure_in(cause, kind)
    what = in_words(cause, killed)
    return Failure(f"{quoted(str(error))}\n{with_advice(what, kind)}")


def in_words(error: BaseException, killed: int = 0) -> str:
    """The end of a process in one line, without Ray's long message."""
    text = str(error)
    if isinstance(error, ray.exceptions.OutOfMemoryError) or "low on memory" in text:
        used = USED.search(text)
        return f"{RAY_ENDED} ({used[1]} of {used[2]} in use)" if used else RAY_ENDED
    if isinstance(error, ray.exceptions.NodeDiedError) or "node has died" in text:
        return LOST_MACHINE
    if isinstance(error, ray.exceptions.RayActorError | ray.exceptions.WorkerCrashedError):
        if killed:
            return f"the kernel probably killed its process: it has just killed {killed} here for memory"
        return SILENT
    return failure_of(error).cause


def death_of(worker_id: str) -> str:
    """How a worker's process ended, by the cluster's records."""
    for worker in private.workers():
        if worker.worker_address.worker_id.hex() == worker_id:
            if private.was_ended_for_memory(worker):
                return in_words(ray.exceptions.OutOfMemoryError(worker.exit_detail))
            node = worker.worker_address.node_id.hex()
            return SILENT if any(n["Alive"] for n in ray.nodes() if n["NodeID"] == node) else LOST_MACHINE
    return SILENT


def with_advice(what: str, kind: StageKind) -> str:
    """The same, with what to lower if memory was short."""
    if what == SILENT:
        return f"{what}; if so, {TO_LOWER[kind]}"
    return f"{what}; {TO_LOWER[kind]}" if "memory" in what else what


def quoted(text: str) -> str:
    """Ray's message for a log, marked so that no line of it is taken for the cause."""
    return "\n".join(f"| {line}" for line in text.strip().splitlines())


def _is_death(error: BaseException) -> bool:
    if isinstance(error, ray.exceptions.RayActorError):
        return not error.actor_init_failed
    wraps_code = isinstance(error, ray.exceptions.RayTaskError | ray.exceptions.UserCodeException)
    return isinstance(error, ray.exceptions.RayError) and not wraps_code


def _causes(error: BaseException) -> Iterator[BaseException]:
    """What Ray's error wraps. Train's errors are recognised by their attributes: importing Train takes seconds."""
    if failures := getattr(error, "worker_failures", None):
        for failure in failures.values():
            yield from _causes(failure)
        return
    inner = [
        getattr(error, name, None) for name in ("controller_failure", "health_check_failure", "cause", "_base_exc")
    ]
    wrapped = next((cause for cause in inner if isinstance(cause, BaseException)), None)
    if wrapped is None and isinstance(error, ray.exceptions.UserCodeException):
        wrapped = error.__cause__
    if wrapped is None:
        yield error
    else:
        yield from _causes(wrapped)
