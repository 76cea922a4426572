"""A Ray cluster on this machine that takes jobs and requires a token: a stand-in for a remote one."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from assay.errors import ClusterError
from assay.execution.ray.seclusion import write_token
from assay.execution.ray.session import QUIET

START_S = 180.0
STOP_S = 60.0
LOCALHOST = "127.0.0.1"


class LocalCluster:
    """A head node and any machines added to it, all local; `with` starts and stops it.

    `environment` is added to the environment of its processes: jobs find it there, like credentials on a real cluster.
    """

    def __init__(self, num_cpus: int = 2, environment: Mapping[str, str] | None = None) -> None:
        self.num_cpus = num_cpus
        self.token = secrets.token_hex(32)
        self.address = ""
        """The address of its job server, once started."""
        self.machines: list[subprocess.Popen[bytes]] = []
        """One process per machine, the head first."""
        self._environment = dict(environment or {})
        self._folder = tempfile.TemporaryDirectory(prefix="assay-ray-", ignore_cleanup_errors=True)
        self.gcs_port = 0

    @property
    def token_path(self) -> Path:
        return Path(self._folder.name) / "token"

    @property
    def logs(self) -> Path:
        """The output of the head's processes and of jobs."""
        return Path(self._folder.name) / "0" / "session_latest" / "logs"

    def __enter__(self) -> LocalCluster:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._folder.cleanup()

    def start(self) -> None:
        """Start the head, and wait until it takes jobs. Raises ClusterError with its log if it does not."""
        write_token(self.token_path, self.token)
        self.gcs_port, dashboard, client = _free_ports(3)
        self.address = f"http://{LOCALHOST}:{dashboard}"
        self._run(
            *("--head", f"--port={self.gcs_port}", f"--dashboard-host={LOCALHOST}", f"--dashboard-port={dashboard}"),
            *(f"--ray-client-server-port={client}", f"--num-cpus={self.num_cpus}"),
        )
        self._wait_for_machines(1)

    def add_machine(self, num_cpus: int = 1) -> subprocess.Popen[bytes]:
        """Add a machine, and wait until the head counts it."""
        count = self._alive()
        for is_last in (False, False, True):
            process = self._run(f"--address={LOCALHOST}:{self.gcs_port}", f"--num-cpus={num_cpus}")
            try:
                self._wait_for_machines(count + 1)
                break
            except ClusterError:  # Ray gives a machine 30 s to join, which may be too short on a busy machine
                if is_last or process.poll() is None:
                    raise
                self.machines.remove(process)
        return process

    def stop(self) -> None:
        for process in reversed(self.machines):
            process.send_signal(signal.SIGTERM)
        for process in reversed(self.machines):
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.machines.clear()

    def _run(self, *options: str) -> subprocess.Popen[bytes]:
        programs = Path(sys.executable).parent
        environment = {
            **{name: value for name, value in os.environ.items() if name not in ("RAY_ADDRESS", "RAY_AUTH_TOKEN")},
            "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', '')}",  # jobs run `assay` by name
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(self.token_path),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",  # stop at once
            "RAY_worker_maximum_startup_concurrency": QUIET["RAY_worker_maximum_startup_concurrency"],
            **self._environment,
        }
        # Ray chooses all ports that are not given here, so that several clusters can run side by side.
        ports = ("--dashboard-agent-listen-port=0", "--min-worker-port=0", "--max-worker-port=0")
        # A folder per machine, as on real ones: in a shared one, each would overwrite the other's packages of jobs.
        folder = f"--temp-dir={self._folder.name}/{len(self.machines)}"
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [str(programs / "ray"), "start", "--block", "--disable-usage-stats", *ports, folder, *options],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C must not reach it
            )
        self.machines.append(process)
        return process

    @property
    def _log(self) -> Path:
        return Path(self._folder.name) / "start.log"

    def _wait_for_machines(self, count: int) -> None:
        deadline = time.monotonic() + START_S
        while self._alive() < count:
            if self.machines[-1].poll() is not None or time.monotonic() > deadline:
                log = self._log.read_text(encoding="utf-8", errors="replace")
                raise ClusterError(f"a local Ray cluster did not start:\n{log[-2000:]}")
            time.sleep(0.2)

    def _alive(self) -> int:
        """How many machines the head counts; 0 while it does not answer."""
        request = urllib.request.Request(
            f"{self.address}/api/v0/nodes", headers={"Authorization": f"Bearer {self.token}"}
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                nodes = json.load(answer)["data"]["result"]["result"]
        except OSError:
            return 0
        return sum(node["state"] == "ALIVE" for node in nodes)


def _free_ports(count: int) -> Sequence[int]:
    """Ports that nobody listens on, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for opened in sockets:
            opened.bind((LOCALHOST, 0))
        return [opened.getsockname()[1] for opened in sockets]
    finally:
        for opened in sockets:
            opened.close()
