"""A Ray cluster of this machine alone that takes jobs and asks for a token: to try out what one elsewhere would do."""

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
    """A head and the machines that are added to it, all of them here; `with` starts and stops it.

    `environment` is added to its processes' own: jobs find it there, as they find credentials on a real cluster.
    """

    def __init__(self, num_cpus: int = 2, environment: Mapping[str, str] | None = None) -> None:
        self.num_cpus = num_cpus
        self.token = secrets.token_hex(32)
        self.address = ""
        """The address of its job server, once started."""
        self.machines: list[subprocess.Popen[bytes]] = []
        """The head first: a process each, that ends when its machine does."""
        self._environment = dict(environment or {})
        self._folder = tempfile.TemporaryDirectory(prefix="assay-ray-", ignore_cleanup_errors=True)
        self.gcs_port = 0

    @property
    def token_path(self) -> Path:
        return Path(self._folder.name) / "token"

    @property
    def logs(self) -> Path:
        """What the head's processes, and the jobs, print."""
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
        """Start the head, and wait until it takes jobs. Raises ClusterError with its log when it does not."""
        write_token(self.token_path, self.token)
        self.gcs_port, dashboard, client = _free_ports(3)
        self.address = f"http://{LOCALHOST}:{dashboard}"
        self._run(
            *("--head", f"--port={self.gcs_port}", f"--dashboard-host={LOCALHOST}", f"--dashboard-port={dashboard}"),
            *(f"--ray-client-server-port={client}", f"--num-cpus={self.num_cpus}"),
        )
        self._wait_for_machines(1)

    def add_machine(self, num_cpus: int = 1) -> subprocess.Popen[bytes]:
        """One more, and wait until the head counts it."""
        count = self._alive()
        for is_last in (False, False, True):
            process = self._run(f"--address={LOCALHOST}:{self.gcs_port}", f"--num-cpus={num_cpus}")
            try:
                self._wait_for_machines(count + 1)
                break
            except ClusterError:  # Ray gives a machine 30 s to join, which a busy one may take
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
        here = Path(sys.executable).parent
        environment = {
            **{name: value for name, value in os.environ.items() if name not in ("RAY_ADDRESS", "RAY_AUTH_TOKEN")},
            "PATH": f"{here}{os.pathsep}{os.environ.get('PATH', '')}",  # jobs start `assay` by name
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(self.token_path),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",  # nobody waits for what is stopped
            "RAY_worker_maximum_startup_concurrency": QUIET["RAY_worker_maximum_startup_concurrency"],
            **self._environment,
        }
        # All ports but those that are named are Ray's to choose, so that clusters side by side do not meet.
        ports = ("--dashboard-agent-listen-port=0", "--min-worker-port=0", "--max-worker-port=0")
        # A folder each, as on machines apart: in a shared one, each would replace what jobs took along for the other.
        folder = f"--temp-dir={self._folder.name}/{len(self.machines)}"
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [str(here / "ray"), "start", "--block", "--disable-usage-stats", *ports, folder, *options],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for whoever uses the cluster
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
