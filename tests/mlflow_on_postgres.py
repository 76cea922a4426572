"""A PostgreSQL of one's own, and in front of it MLflow's server as infra/mlflow/serve.sh starts it."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

SERVE = Path(__file__).parents[1] / "infra" / "mlflow" / "serve.sh"
ADMIN = "admin"
LONGEST_S = 240
"""How long a busy machine may take to start a server."""


def postgres_programs() -> Path | None:
    """The folder with initdb and postgres, which Debian keeps off the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Postgres:
    """A cluster in a folder of its own, on 127.0.0.1, that asks for a password. It refuses to run as root."""

    programs: Path
    port: int = field(default_factory=free_port)
    password: str = field(default_factory=lambda: secrets.token_hex(16))

    def __post_init__(self) -> None:
        self.user = "postgres" if os.geteuid() == 0 else None
        self.folder = Path(tempfile.mkdtemp(prefix="assay-postgres-"))
        password = self.folder / "password"
        password.write_text(self.password)
        if self.user:
            for path in (self.folder, password):
                shutil.chown(path, self.user, self.user)
        self._run("initdb", "-U", "mlflow", "--pwfile", str(password), "-A", "scram-sha-256", "--no-sync")
        options = ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off"]
        self.log = self.folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [str(self.programs / "postgres"), "-D", str(self.folder / "data"), "-p", str(self.port), *options],
                stderr=log,
                **self._as_user(),
            )
        ready = [str(self.programs / "pg_isready"), "-h", "127.0.0.1", "-p", str(self.port), "-q"]
        wait_until(self.process, lambda: subprocess.run(ready).returncode == 0, self.log)

    def environment(self) -> dict[str, str]:
        """Where it is, for every client of PostgreSQL. The database is the one that is there from the start."""
        where = {"PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGDATABASE": "postgres"}
        return {**where, "PGUSER": "mlflow", "PGPASSWORD": self.password}

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)
        shutil.rmtree(self.folder)

    def _run(self, program: str, *args: str) -> None:
        command = [str(self.programs / program), "-D", str(self.folder / "data"), *args]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **self._as_user())

    def _as_user(self) -> dict[str, object]:
        return {"user": self.user, "group": self.user, "extra_groups": [], "cwd": "/"} if self.user else {}


class Server:
    """serve.sh on a port that stays its own when it is killed and started again."""

    def __init__(self, postgres: Postgres, folder: Path) -> None:
        self.port = free_port()
        self.password = secrets.token_hex(16)
        self.log = folder / "server.log"
        self._environment = {
            **os.environ,
            **postgres.environment(),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "MLFLOW_ARTIFACTS_DESTINATION": str(folder / "artifacts"),
            "MLFLOW_AUTH_ADMIN_USERNAME": ADMIN,
            "MLFLOW_AUTH_ADMIN_PASSWORD": self.password,
            "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(16),
            "MLFLOW_PORT": str(self.port),
            "MLFLOW_WORKERS": "1",
        }

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client_environment(self) -> dict[str, str]:
        """What a user of it sets."""
        named = {"MLFLOW_TRACKING_USERNAME": ADMIN, "MLFLOW_TRACKING_PASSWORD": self.password}
        return {"MLFLOW_TRACKING_URI": self.url, **named}

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [str(SERVE)], env=self._environment, stdout=log, stderr=log, start_new_session=True
            )
        wait_until(self.process, lambda: self.answer("/health") == 200, self.log)

    def kill(self) -> None:
        """As a machine that loses its power does it: with all its workers, and no word to anybody."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(60)

    def answer(self, path: str, headers: dict[str, str] | None = None) -> int | None:
        """The HTTP status of a GET; None where nobody answers."""
        try:
            with urllib.request.urlopen(
                urllib.request.Request(self.url + path, headers=headers or {}), timeout=60
            ) as a:
                return int(a.status)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code
        except OSError:
            return None


def wait_until(process: subprocess.Popen[bytes], condition: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + LONGEST_S
    while not condition():
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"{process.args}: exit {process.poll()}\n{log.read_text()[-3000:]}")
        time.sleep(0.05)
