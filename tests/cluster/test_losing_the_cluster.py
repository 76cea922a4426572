"""A cluster that is gone is noticed before Ray does, which would end the whole process a minute later."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import ray

import assay
import toy_workload
from assay.errors import ClusterLost
from assay.home import Home
from assay.sweep import load_sweep
from job_site import installed
from machines import Witness
from patience import LONGEST_S
from terminal import User

pytestmark = pytest.mark.cluster

SWEEP = """\
version: 1
name: gone
workload: toy
base: tiny
config: {{train.gates: {gates}}}
metric: distance
mode: min
"""


def kill(node: Any, kind: str) -> bool:
    os.kill(node.all_processes[kind][0].process.pid, signal.SIGKILL)
    return True


def lose(folder: Path, witness: Witness) -> None:
    """Run a sweep while the witness ends its cluster: it says so, stops, and the same call finishes it elsewhere."""
    witness.gates = folder
    for step in witness.deeds:
        (folder / f"shut-{step}").touch()
    file = folder / "gone.yaml"
    file.write_text(SWEEP.format(gates=folder))
    sweep, home = load_sweep(file, find_workload=lambda name: toy_workload.Toy()), Home(folder / "home")
    with pytest.raises(ClusterLost, match=r"and this run's cluster with it; .*: rerun the same command to resume"):
        assay.run(sweep, home, listeners=[witness])
    assert witness.outcome is not None
    assert witness.outcome.paused is not None
    assert not ray.is_initialized(), "nothing of Ray is left that could end this process"
    assert not assay.run(sweep, home, executor="inline").failed


def embedded(folder: Path) -> None:
    lose(folder, Witness({12: lambda: kill(ray._private.worker._global_node, "gcs_server")}))


def test_the_head_process_of_an_embedded_cluster(tmp_path: Path) -> None:
    """In a process of its own: what Ray keeps of a lost cluster could end the one that runs the tests."""
    environment = {**os.environ, "PYTHONPATH": str(Path(toy_workload.__file__).parent)}
    line = [sys.executable, __file__, str(tmp_path)]
    done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=LONGEST_S)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> User:
    """A user of the toy workload, installed; its training waits at step 12."""
    monkeypatch.setenv("PYTHONPATH", str(installed(tmp_path / "site")))
    monkeypatch.setenv(
        "RAY_AUTH_MODE", "disabled"
    )  # a cluster that `ray start` makes takes the token in ~/.ray, if there is one
    (tmp_path / "shut-12").touch()
    return User(tmp_path, SWEEP.format(gates=tmp_path))


def lose_at_a_terminal(user: User, kind: str, said_first: str, *args: str) -> None:
    """One line on the screen, Ray's own words in a file, no run of MLflow's left running, exit code 3."""
    process = user.start("run", "sweep.yaml", "--plain", *args)
    user.until(process, lambda: bool(user.checkpoints()))
    (victim,) = user.workers(kind)
    os.kill(victim, signal.SIGKILL)
    output, errors = process.communicate(timeout=LONGEST_S)
    assert process.returncode == 3, output + errors
    (said,) = errors.strip().splitlines()
    assert said.startswith(f"assay: {said_first}")
    assert said.endswith("rerun the same command to resume")
    assert said_first not in output
    assert (user.folder / ".assay" / "reports" / "gone" / "report.html").is_file()
    with closing(sqlite3.connect(user.folder / ".assay" / "mlflow.db")) as database:
        assert set(database.execute("select status from runs")) == {("KILLED",)}


def test_the_raylet_at_a_terminal(user: User) -> None:
    lose_at_a_terminal(user, "raylet/raylet", "Ray's process on this machine (raylet) was killed by signal 9")
    assert "Raylet is terminated" in (user.folder / ".assay" / "reports" / "gone" / "ray.log").read_text()


def test_the_head_of_a_cluster_that_the_run_joined(user: User) -> None:
    """With the head goes all that it had started, as where its machine is gone."""
    with TemporaryDirectory(prefix="ray") as folder, socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = str(found.getsockname()[1])
        found.close()
        options = ("--num-cpus=2", "--include-dashboard=false", "--disable-usage-stats", f"--temp-dir={folder}")
        head = user.start("start", "--head", "--block", f"--port={port}", *options, command="ray")
        try:
            user.until(head, lambda: bool(user.workers("raylet/raylet")))
            lose_at_a_terminal(
                user,
                "gcs_server",
                "Ray's head process (gcs_server) no longer answers",
                "--address",
                f"127.0.0.1:{port}",
            )
        finally:
            head.terminate()
            head.communicate(timeout=LONGEST_S)


if __name__ == "__main__":
    embedded(Path(sys.argv[1]))
