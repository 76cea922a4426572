"""A Ray cluster for the duration of a run: an embedded one, or an existing one at an address."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from assay.errors import AssayError, UserError
from assay.execution.ray.seclusion import environment, secluded
from assay.network import ask_this_machine_directly

CONNECT_S = 10.0
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",  # every training waits for it once; the default is 2 s
    "RAY_TRAIN_ENABLE_STATE_TRACKING": "0",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # an actor per training; our workers watch for notices themselves
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_worker_maximum_startup_concurrency": "8",  # Ray warns at four times this many processes
    "RAY_idle_worker_killing_time_threshold_ms": "60000",  # else each reduction starts a process that imports torch
}

DEBUGGER = "PYTHONBREAKPOINT"
"""Ray sets it, and would leave it to processes that are started later."""


@contextmanager
def session(address: str | None, log: Path) -> Iterator[None]:
    """Connect, or start Ray inside this process, and disconnect afterwards. Ray's output goes to the log."""
    ask_this_machine_directly()
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    if address is not None:
        _check_reachable(address)
    with ExitStack() as stack:
        folder = None
        if address is None:
            folder = str(stack.enter_context(secluded()))
        from assay.execution.ray.log import words_in  # imports Ray, which reads the variables set above

        stack.enter_context(words_in(log))
        stack.enter_context(environment({DEBUGGER: os.environ.get(DEBUGGER)}))
        _connect(address, folder)
        stack.callback(_disconnect)
        yield


def _connect(address: str | None, folder: str | None) -> None:
    """Connect to the cluster at the address, or start one with its session in the folder."""
    import ray

    from assay.execution.ray import private

    # A thread that outlives its cluster must not start or join another one. Never undone: such a thread has no end.
    private.never_connect_by_itself()
    logging.getLogger("ray").setLevel(logging.WARNING)
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        with private.without_log_monitor():
            ray.init(
                address=address or "local",
                include_dashboard=None if address else False,
                log_to_driver=False,
                logging_level=logging.WARNING,
                namespace="assay",
                _temp_dir=folder,
            )
    except ConnectionError as error:
        advice = "If the cluster requires a token, set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN_PATH to its file."
        raise UserError(f"no Ray cluster at {address or 'local'!r}: {error}. {advice}") from error
    except ray.exceptions.AuthenticationError as error:
        raise UserError(f"the token for the Ray cluster cannot be read: {str(error).partition('. ')[0]}") from error
    except Exception as error:
        if "Version mismatch" in str(error):
            raise UserError(f"{' '.join(str(error).split())} Install the cluster's versions here.") from error
        if "timed out during startup" not in str(error):
            raise
        raise AssayError(
            "Ray did not start here within half a minute: is this machine overloaded? Nothing was "
            "computed; try again, or run without Ray: --executor inline"
        ) from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, on_sigterm)  # Ray's own handler prints a stack and exits


def _disconnect() -> None:
    import ray

    ray.shutdown()


def _check_reachable(address: str) -> None:
    """Raises UserError if nothing answers at host:port: Ray itself would retry for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        return  # "auto" and the like, which Ray resolves
    try:
        socket.create_connection((host, int(port)), CONNECT_S).close()
    except (OSError, OverflowError) as error:
        raise UserError(
            f"no Ray cluster at {address!r}: {error}; is its head running, and its port reachable?"
        ) from error
