"""A cluster that is gone is noticed before Ray does, which would end the whole process a minute later."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import ray

import assay
import toy_workload
from assay.errors import ClusterLost
from assay.home import Home
from assay.sweep import load_sweep
from machines import Witness
from terminal import LONGEST_S, User

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


def test_the_raylet_at_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line on the screen, Ray's own words in a file, no run of MLflow's left running, exit code 3."""
    info = tmp_path / "site" / "toy-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[assay.workloads]\ntoy = toy_workload:workload\n")
    monkeypatch.setenv("PYTHONPATH", f"{info.parent}:{Path(toy_workload.__file__).parent}")
    (tmp_path / "shut-12").touch()
    user = User(tmp_path, SWEEP.format(gates=tmp_path))
    process = user.start("run", "sweep.yaml", "--plain")
    user.until(process, lambda: bool(user.checkpoints()))
    (raylet,) = user.workers("raylet/raylet")
    os.kill(raylet, signal.SIGKILL)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 3, output + errors
    (said,) = errors.strip().splitlines()
    assert said.startswith("assay: Ray's process on this machine (raylet) was killed by signal 9")
    assert said.endswith("rerun the same command to resume")
    assert "(raylet)" not in output
    folder = tmp_path / ".assay" / "reports" / "gone"
    assert "Raylet is terminated" in (folder / "ray.log").read_text()
    assert (folder / "report.html").is_file()
    with closing(sqlite3.connect(tmp_path / ".assay" / "mlflow.db")) as database:
        assert set(database.execute("select status from runs")) == {("KILLED",)}


if __name__ == "__main__":
    embedded(Path(sys.argv[1]))
