"""`assay ui`: run MLflow's own server on this machine, for what this home has tracked."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

from assay.errors import AssayError, UserError, did_you_mean
from assay.home import Home
from assay.redaction import hide_secrets
from assay.text import first_line
from assay.tracking.arms_view import TAG, address
from assay.tracking.client import mlflow_client
from assay.tracking.database import bring_home, sqlite_file
from assay.tracking.logged import quiet_environment
from assay.tracking.writer import in_words

HOST = "127.0.0.1"
PORT = 5000
START_S = 90.0
"""How long the server may take to start on a busy machine."""
STOP_S = 10.0


def ui_command(home: Home, port: int = PORT) -> list[str]:
    """The command that opens MLflow's UI. What to show is in its environment: other users can read command lines."""
    return [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--default-artifact-root", home.artifacts.absolute().as_uri()),
        *("--host", HOST, "--port", str(port)),
        *("--workers", "1"),
    ]


def serve(home: Home, port: int = PORT, sweep: str | None = None, say: Callable[[str], None] = print) -> None:
    """Run MLflow's server in the foreground until Ctrl-C, and print the addresses of the experiments.

    If MLFLOW_TRACKING_URI names a server, nothing is started and only the addresses are printed.
    """
    quiet_environment()
    if home.tracking_uri.startswith(("http://", "https://")):
        _say_addresses(home.tracking_uri, sweep, say)
        return
    file = sqlite_file(home.tracking_uri)
    if file is not None and not file.is_file():
        raise UserError(f"nothing is tracked in {file} yet; run a sweep first: assay run SWEEP.yaml")
    _check_free(port)
    try:
        bring_home(home)
    except sqlite3.Error as error:
        raise AssayError(in_words(home, error)) from error
    log = home.root / "mlflow-server.log"
    with _stopped_by_sigterm(), log.open("wb") as output:
        # A session of its own: Ctrl-C reaches only us, and we stop the server and its workers in order.
        server = subprocess.Popen(
            ui_command(home, port), stdout=output, stderr=output, env=_environment(home), start_new_session=True
        )
        try:
            _wait_until_it_answers(server, port, log)
            _say_addresses(f"http://{HOST}:{port}", sweep, say)
            say("Press Ctrl-C to stop it.")
            code = server.wait()
            raise AssayError(f"MLflow's server exited with code {code}; see its log: {log}")
        except KeyboardInterrupt:
            say("Stopped.")
        finally:
            _stop(server)


def _environment(home: Home) -> dict[str, str]:
    """Nothing leaves the machine, and no helper processes run for unused features."""
    return {
        **os.environ,
        "MLFLOW_BACKEND_STORE_URI": home.tracking_uri,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }


def _check_free(port: int) -> None:
    if not 0 < port < 65536:
        raise UserError(f"got port {port}, allowed: 1 to 65535")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise UserError(
                f"port {port} on {HOST} is unavailable: {error.strerror}; perhaps another `assay ui` runs there; "
                f"stop it, or choose another port: assay ui --port {port + 1}"
            ) from error


def _wait_until_it_answers(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise AssayError(f"MLflow's server did not start (exit code {server.returncode}): {_tail(log)}")
        try:
            with urlopen(f"http://{HOST}:{port}/health", timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise AssayError(f"MLflow's server did not answer within {START_S:.0f} s: {_tail(log)}")


def _tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return "\n".join([*lines[-5:], f"(full log: {log})"])


def _stop(server: subprocess.Popen[bytes]) -> None:
    """Stop the server and its workers."""
    for sent in (signal.SIGTERM, signal.SIGKILL):
        if server.poll() is None:
            os.killpg(server.pid, sent)
            try:
                server.wait(STOP_S)
            except subprocess.TimeoutExpired:
                continue
    if server.poll() is None:
        raise AssayError(f"MLflow's server (process {server.pid}) does not stop")


@contextmanager
def _stopped_by_sigterm() -> Iterator[None]:
    """SIGTERM ends us as Ctrl-C does, so that no server is left behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _say_addresses(server: str, sweep: str | None, say: Callable[[str], None]) -> None:
    """Latest sweep first; a name and password in the server's address are not shown."""
    parts = urlsplit(server.rstrip("/"))
    base = hide_secrets(parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl())
    try:
        experiments = _experiments(server)
    except Exception as error:  # MLflow and its server may raise anything
        raise AssayError(
            f"MLflow at {base} does not answer: {first_line(error, with_type=True)}; is the server up?"
        ) from error
    if sweep is not None:
        if sweep not in experiments:
            raise UserError(f"no sweep {sweep!r} is tracked at {base}{did_you_mean(sweep, experiments)}")
        experiments = {sweep: experiments[sweep]}
    for name, number in experiments.items():
        say(f"{name}: {address(base, number)}")
    if not experiments:
        say(f"{base} (no sweep is tracked there yet)")


def _experiments(server: str) -> dict[str, str]:
    """Name → id of every sweep, latest first. The server may have other experiments too."""
    client = mlflow_client(server)
    experiments = client.search_experiments(max_results=100, order_by=["last_update_time DESC"])
    return {e.name: e.experiment_id for e in experiments if TAG in e.tags}
