"""Sweeps as jobs on a real cluster that asks for a token. The cluster has no workload but what a job takes along."""

from __future__ import annotations

import asyncio
import json
import math
import runpy
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import assay
from assay.cli import main
from assay.home import Home
from assay.jobs.local import LocalCluster
from assay.store import RunningRecord, Store
from assay.sweep import load_sweep
from job_site import Proxy, held, installed, run_statuses, succeeded, until
from patience import LONGEST_S
from repository import ROOT

pytestmark = pytest.mark.cluster

COUNTS = """\
version: 1
name: counts
workload: light
base: one
parameters: {count.by: {values: [1, 2]}}
scheduler: {name: fifo, budget: count.to, rungs: [4, 10]}
metric: total
mode: max
"""
TOY = """\
version: 1
name: stopped
workload: toy
base: tiny
metric: distance
mode: min
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster() as started:
        yield started


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed(tmp_path_factory.mktemp("installed") / "site")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def project(tmp_path: Path, site: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user stands; what the cluster keeps goes to `home`."""
    (tmp_path / "counts.yaml").write_text(COUNTS)
    (tmp_path / "stopped.yaml").write_text(TOY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("ASSAY_HOME", str(home))
    for name in ("ASSAY_STORE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def command(
    cluster: LocalCluster, project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """`assay ARGS…` of somebody who may use the cluster; what it printed."""
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(cluster.token_path))
    monkeypatch.setenv("ASSAY_ADDRESS", cluster.address)

    def call(*args: str, code: int = 0) -> str:
        capfd.readouterr()
        assert main(list(args)) == code
        return capfd.readouterr().out

    return call


def test_submitted_attached_to_and_followed_through_a_network_that_drops(
    cluster: LocalCluster, site: Path, project: Path
) -> None:
    proxy = Proxy(cluster.address)
    client = assay.Client(proxy.address, token=cluster.token)
    gate = project / "shut-4"
    gate.touch()

    def submit() -> assay.client.Job:
        return client.submit("counts.yaml", {"count.gates": project}, workload_package=site)

    job, again = submit(), submit()
    assert job.submitted is not None
    assert again.submitted is not None
    assert (job.submitted.what, again.submitted.what) == ("submitted", "attached")
    assert job.id == again.id
    with pytest.raises(TimeoutError):
        job.wait(timeout=0.1)

    store, in_progress = Store(job.submitted.store), list[RunningRecord]()

    async def in_a_notebook() -> list[str]:
        """Where an event loop runs already."""
        lines = []
        for line in job.logs(follow=True):
            lines.append(line)
            if "Running entrypoint" in line:
                proxy.drop()
            elif " started" in line and gate.exists():
                proxy.drop()
                in_progress.extend(store.running())
                gate.unlink()
        return lines

    lines = asyncio.run(in_a_notebook())
    assert job.status() == "SUCCEEDED"
    assert [run.job for run in in_progress] == [job.id]
    assert store.running() == []
    assert "SUCCEEDED" in job._repr_html_(), "what a notebook shows of it"
    assert lines == list(job.logs()), "each line once"
    assert any("by total, larger is better" in line for line in lines)

    results = job.results()
    assert list(results) == ["trial", "arm", "seed", "count.by", "count.to", "total", "key", "stages", "failure"]
    found = results.set_index(["count.by", "count.to"])["total"].to_dict()
    assert found == {(1, 4): 10, (1, 10): 55, (2, 4): 6, (2, 10): 30}
    ledger = job.ledger()
    assert list(ledger["stage"]) == ["count"] * 4
    assert set(ledger["key"]) == set(results["key"])
    assert (ledger["seconds"] > 0).all()
    assert ledger["v100_days"].isna().all(), "nobody declared what a CPU is worth"

    third = submit()
    assert third.submitted is not None
    assert (third.submitted.what, third.submitted.before) == ("submitted again", "SUCCEEDED")
    assert third.id != job.id
    succeeded(third)
    assert third.results().sort_values("key").to_dict("records") == results.sort_values("key").to_dict("records")
    assert "4 of 4 stages are stored already" in "\n".join(third.logs())
    assert [about.id for about in client.jobs()][:2] == [third.id, job.id]
    proxy.close()


def test_the_commands(command: Callable[..., str], site: Path) -> None:
    said = json.loads(command("submit", "counts.yaml", "--workload-package", str(site), "--json"))
    job = said["job"]
    log = command("logs", "-f", job)
    assert "larger is better" in log
    assert "assay-row" not in log
    assert log == command("logs", job)
    about = next(a for a in json.loads(command("ls", "--json"))["jobs"] if a["id"] == job)
    assert (about["status"], about["sweep"], about["exit_code"]) == ("SUCCEEDED", "counts", 0)
    assert job in command("ls")
    shown = json.loads(command("show", job, "--json"))
    assert len(shown["results"]) == len(shown["ledger"]) == 4
    assert "SUCCEEDED" in command("show", job[:-3]), "the beginning is enough"
    assert "has already ended: SUCCEEDED" in command("stop", job)
    command("logs", "nothing-like-it", code=2)


def test_a_failed_trial_is_in_the_results_and_in_the_exit_code(command: Callable[..., str], site: Path) -> None:
    args = ["--workload-package", str(site), "--set", "count.fail=true", "--set", "scheduler.rungs=[4]", "--follow"]
    log = command("submit", "counts.yaml", *args, code=1)
    assert "RuntimeError: cannot count" in log
    job = json.loads(command("ls", "--json"))["jobs"][0]
    assert (job["status"], job["exit_code"]) == ("FAILED", 1)
    (first, second) = json.loads(command("show", job["id"], "--json"))["results"]
    assert first["failure"] == second["failure"] == "count: RuntimeError: cannot count"


def test_stopped_it_saves_holds_nothing_and_goes_on_when_submitted_again(
    cluster: LocalCluster, site: Path, project: Path, home: Path, command: Callable[..., str]
) -> None:
    client = assay.Client(cluster.address, token=cluster.token)
    gates = project / "gates"
    gates.mkdir()
    (gates / "shut-12").touch()

    def submit() -> assay.client.Job:
        return client.submit("stopped.yaml", {"train.gates": str(gates)}, workload_package=site)

    def checkpoints() -> list[int]:
        return sorted(int(path.stem.partition("-")[0]) for path in home.glob("store/progress/*/checkpoints/*.json"))

    job = submit()
    until(lambda: 10 in checkpoints())
    watched = json.loads(command("watch", job.id, "--once", "--json"))
    assert (watched["job"], watched["sweep"], watched["board"]["trials"]) == (job.id, "stopped", 1)
    assert "train" in command("watch", "stopped", "--once"), "its sweep's name is enough, on the cluster too"
    assert job.stop(timeout=LONGEST_S) == "STOPPED"
    assert checkpoints()[-1] > 10, "it saved where it was, and not only every five steps"
    until(lambda: held(cluster) == [])
    assert set(run_statuses(home / "mlflow.db")) <= {"KILLED", "FINISHED", "FAILED"}

    (gates / "shut-12").unlink()
    again = submit()
    assert again.submitted is not None
    assert again.submitted.before == "STOPPED"
    succeeded(again)
    assert "resumes at" in "\n".join(again.logs())

    sweep = load_sweep("stopped.yaml", sets=[f"train.gates={gates}"])
    (undisturbed,) = assay.run(sweep, Home(project / "inline"), executor="inline").trials
    (row,) = again.results().to_dict("records")
    assert row["key"] == undisturbed.planned.leaf.key
    assert {name: row[name] for name in undisturbed.metrics} == undisturbed.metrics
    assert not math.isnan(row["distance"])
    (origin,) = json.loads(command("show", row["key"], "--json"))["origins"].values()
    assert origin["command"].startswith("assay run stopped.yaml")
    assert "toy_workload" in origin["modules"]
    assert origin["submitted"]["host"] == socket.gethostname(), "of the machine that it was submitted from"


def test_the_early_stopping_study_stops_the_job_that_beat_its_target(
    command: Callable[..., str], cluster: LocalCluster, site: Path, project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    study = runpy.run_path(str(ROOT / "sweeps" / "early_stopping_study.py"))
    (project / "climb.yaml").write_text(
        COUNTS.replace("counts", "climb").replace("[1, 2]", "[1]").replace("10]", "10, 30]")
    )
    (project / "shut-30").touch()  # nobody counts so far
    options = ["--address", cluster.address, "--target", "50", "--set", f"count.gates={project}"]
    assert study["main"]([str(project / "climb.yaml"), *options, "--workload-package", str(site)]) == 0
    said = capfd.readouterr().out
    assert "4 iterations: total 10\n" in said
    assert "10 iterations: total 55  beats the target\nbeaten; the job is stopped: STOPPED\n" in said
    assert "beat it after 10 iterations. V100-days of training until there:" in said
    about = json.loads(command("ls", "--json"))["jobs"][0]
    assert (about["sweep"], about["status"]) == ("climb", "STOPPED")
    until(lambda: held(cluster) == [])


def test_the_token_is_nowhere_that_others_read(cluster: LocalCluster, home: Path) -> None:
    """After all of the above: logs, the store, MLflow, reports, and what the cluster tells of its jobs."""
    token = cluster.token.encode()
    files = [path for folder in (home, cluster.logs) for path in folder.rglob("*") if path.is_file()]
    assert len([path for path in files if path.name.startswith("job-driver-")]) >= 5
    assert (home / "mlflow.db") in files
    assert [str(path) for path in files if token in path.read_bytes()] == []
    client = assay.Client(cluster.address, token=cluster.token)
    told = repr(client._cluster.jobs())
    assert "assay.version" in told
    assert cluster.token not in told
