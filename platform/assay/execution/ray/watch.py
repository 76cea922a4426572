"""Notice the loss of a cluster before Ray does, which would end the whole process after waiting for a minute."""

from __future__ import annotations

import signal
import socket
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, InvalidStateError
from concurrent.futures import wait as wait_for
from contextlib import suppress
from functools import partial
from typing import Any

from assay.errors import ClusterLost
from assay.events import Emit, Event
from assay.execution.ray import private
from assay.execution.ray.aside import aside
from assay.text import first_line

POLL_S = 1.0
CONNECT_S = 2.0
MISSES = 5
"""How many checks in a row must go unanswered. The kernel answers for a busy or stopped process, not for a dead one:
some seconds of a machine under load are no reason for alarm."""
LEAVE_S = 5.0
"""How long a run that ends early waits for its threads: calls to a lost cluster never return."""
NAMES = {"gcs_server": "Ray's head process (gcs_server)", "raylet": "Ray's process on this machine (raylet)"}


def while_it_lives(work: Callable[[Future[None], threading.Event], None], emit: Emit) -> None:
    """Do work that queries the cluster. Raises ClusterLost as soon as the cluster is gone.

    The work receives a future of the cluster's loss, which it may set itself, and an event that says that nobody waits
    for it any more.
    """
    over = threading.Event()
    lost: Future[None] = Future()
    aside(partial(watch, lost, over)).add_done_callback(partial(_tell_if_unwatched, emit))
    # In a thread, since a call to a lost cluster blocks until Ray ends the whole process.
    done = aside(partial(work, lost, over))
    try:
        wait_for([done, lost], return_when=FIRST_COMPLETED)
        (lost if lost.done() else done).result()
    finally:
        over.set()
        wait_for([done], LEAVE_S)


def _tell_if_unwatched(emit: Emit, watching: Future[None]) -> None:
    if (error := watching.exception()) is not None:
        message = f"the cluster is not watched any more: {first_line(error)}; if it is lost, Ray ends the run"
        emit(Event("warning", message=message))


def watch(lost: Future[None], stop: threading.Event) -> None:
    """Check until stopped; if the cluster is gone, set a ClusterLost on `lost` that says how."""
    node = private.node()
    misses: Counter[str] = Counter()
    while not stop.wait(POLL_S):
        if (reason := ended(node)) is not None:
            lose(lost, reason)
            return
        for kind, address in _ports(node).items():
            misses[kind] = 0 if _answers(*address) else misses[kind] + 1
            if misses[kind] >= MISSES:
                lose(lost, _silent(kind, address))
                return


def gone(node: Any) -> str | None:
    """Which of Ray's processes has ended or does not answer, after something of the cluster was lost; None if all are
    there."""
    silent = (_silent(kind, address) for kind, address in _ports(node).items() if not _answers(*address))
    return ended(node) or next(silent, None)


def ended(node: Any) -> str | None:
    """Which of the Ray processes that this one started has ended, and how; None if none has."""
    for kind, process in node.dead_processes():
        if kind in NAMES:
            return f"{NAMES[kind]} {_how(process.returncode)}"
    return None


def lose(lost: Future[None], reason: str) -> None:
    with suppress(InvalidStateError):  # already noticed
        lost.set_exception(ended_by(f"{reason}, and this run's cluster with it"))


def ended_by(reason: str) -> ClusterLost:
    return ClusterLost(f"{reason}; what this run had finished is stored: rerun the same command to resume")


def _ports(node: Any) -> dict[str, tuple[str, int]]:
    host, _, port = node.gcs_address.rpartition(":")
    return {"gcs_server": (host.strip("[]"), int(port)), "raylet": (node.node_ip_address, node.node_manager_port)}


def _silent(kind: str, address: tuple[str, int]) -> str:
    return f"{NAMES[kind]} no longer answers at {address[0]}:{address[1]}"


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), CONNECT_S).close()
    except OSError:
        return False
    return True


def _how(returncode: int) -> str:
    if returncode == -signal.SIGKILL:
        return "was killed by signal 9 (often by the kernel, for lack of memory)"
    return f"was killed by signal {-returncode}" if returncode < 0 else f"ended with exit code {returncode}"
