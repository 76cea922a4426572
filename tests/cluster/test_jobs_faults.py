"""What can go wrong between a user and a cluster: one clear message each, an exit code, and nothing lost."""

from __future__ import annotations

import http.server
import json
import os
import platform
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import ray

import assay
from assay.errors import ClusterError, UnknownJob, UserError
from assay.home import Home
from assay.jobs import following
from assay.jobs.local import LocalCluster
from assay.sweep import load_sweep
from job_site import descendants, environment, installed, succeeded, until
from patience import LONGEST_S

pytestmark = pytest.mark.cluster
Shell = Callable[..., tuple[int, str, str]]

SUM = """\
version: 1
name: sums
workload: light
base: one
metric: total
mode: max
"""
GPU = SUM + "resources: {reduce: {gpus: 1}}\n"
WIDE = """\
version: 1
name: wide
workload: light
base: one
config: {draw.num: 12}
resources: {sample: {actors: [1, 2]}}
metric: total
mode: max
"""
RUNGS = SUM.replace("sums", "rungs") + "scheduler: {name: fifo, budget: count.to, rungs: [4, 10]}\n"


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster(num_cpus=1) as started:
        yield started


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed(tmp_path_factory.mktemp("installed") / "site")


@pytest.fixture
def project(tmp_path: Path, site: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "sums.yaml").write_text(SUM)
    (tmp_path / "gpu.yaml").write_text(GPU)
    (tmp_path / "wide.yaml").write_text(WIDE)
    (tmp_path / "rungs.yaml").write_text(RUNGS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "home"))
    for name in ("ASSAY_STORE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def shell(cluster: LocalCluster, project: Path, site: Path) -> Shell:
    """`assay ARGS…` in a process of its own: its exit code, what it prints, and what it says is wrong."""

    def call(*args: str, **variables: str | None) -> tuple[int, str, str]:
        wanted = {**environment(cluster, site), **variables}
        ended = subprocess.run(
            [str(Path(sys.executable).with_name("assay")), *args],
            cwd=project,
            env={name: value for name, value in wanted.items() if value is not None},
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
        )
        assert "Traceback" not in ended.stderr
        return ended.returncode, ended.stdout, ended.stderr.strip()

    return call


# The way to the cluster


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("head:8265", "allowed: http://HOST:8265 or https://HOST, .*; did you mean http://head:8265?"),
        ("ray://head:10001", "got 'ray://head:10001', allowed: http://HOST:8265"),
        ("http://", "allowed: http://HOST:8265"),
        ("http://head:many", "allowed: http://HOST:8265"),
        ("http://me:hunter2@head:8265", "a name or a password in it"),
    ],
)
def test_an_address_that_is_none(address: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as refusal:
        assay.Client(address)
    assert "hunter2" not in str(refusal.value)


def test_an_address_where_nobody_is() -> None:
    with pytest.raises(ClusterError, match=r"no cluster at http://127\.0\.0\.1:9: .*refused; is its head running"):
        assay.Client("http://127.0.0.1:9")


def test_an_address_where_somebody_else_is(cluster: LocalCluster) -> None:
    with pytest.raises(ClusterError, match="a server without TLS needs http://"):
        assay.Client(cluster.address.replace("http://", "https://"))
    with pytest.raises(ClusterError, match=r"jobs share the dashboard's port"):
        assay.Client(f"http://127.0.0.1:{cluster.gcs_port}")


def test_no_token_an_expired_one_and_none_that_can_be_read(shell: Shell, project: Path) -> None:
    (project / "old-token").write_text("0" * 64)
    (project / "empty").touch()
    for path, said in {
        None: "requires a token, but got none",
        "old-token": "refuses the token: it is wrong, or no longer valid",
        "empty": "empty is empty",
        "missing": "No such file",
    }.items():
        code, _, message = shell("submit", "sums.yaml", RAY_AUTH_TOKEN_PATH=path)
        assert code == 2
        assert said in message
        assert "RAY_AUTH_TOKEN_PATH" in message
        assert len(message.splitlines()) == 1
        assert "0" * 64 not in message


class OtherCluster(http.server.BaseHTTPRequestHandler):
    """What another release's job server says of itself: no such cluster can be had here."""

    versions = ("", "")

    def do_GET(self) -> None:
        ray_version, python_version = self.versions
        answers = {
            "/api/version": {"version": "4", "ray_version": ray_version, "ray_commit": "", "session_name": ""},
            "/api/v0/cluster_metadata": {"data": {"rayVersion": ray_version, "pythonVersion": python_version}},
        }
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(answers[self.path]).encode())

    def log_message(self, *_: object) -> None: ...


@pytest.mark.parametrize(
    ("ray_version", "python_version"), [("2.40.0", platform.python_version()), (ray.__version__, "3.14.1")]
)
def test_another_ray_or_python(ray_version: str, python_version: str, project: Path) -> None:
    handler = type("Handler", (OtherCluster,), {"versions": (ray_version, python_version)})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        client = assay.Client(f"http://127.0.0.1:{server.server_port}")
        with pytest.raises(UserError, match="allowed: the same on both") as refusal:
            client.submit("sums.yaml")
        server.shutdown()
    there, here = python_version.rpartition(".")[0], platform.python_version().rpartition(".")[0]
    assert (
        f"runs Ray {ray_version} with Python {there}, and this machine Ray {ray.__version__} with Python {here}"
        in str(refusal.value)
    )


def test_another_ray_address_in_the_shell_is_not_taken(
    cluster: LocalCluster, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "http://127.0.0.1:9")
    assert assay.Client(cluster.address, token=cluster.token).jobs() == []
    assert os.environ["RAY_ADDRESS"] == "http://127.0.0.1:9"


# What the cluster has, or has not


def test_a_sweep_for_gpus_where_there_are_none(shell: Shell, cluster: LocalCluster, site: Path) -> None:
    code, log, message = shell("submit", "gpu.yaml", "--follow", "--workload-package", str(site))
    assert code == 2
    assert "stage count needs 1 GPU (the cluster has 0)\nAsk for less under `resources`" in log
    assert message.endswith(": FAILED")
    assert "stage count needs 1 GPU (the cluster has 0)" in shell("show", message.partition(":")[0])[1]


def test_a_store_and_mlflow_that_cannot_be_reached(
    cluster: LocalCluster, project: Path, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a store nothing begins; without MLflow nothing stops."""
    client = assay.Client(cluster.address, token=cluster.token)
    (project / "file").touch()
    job = client.submit("sums.yaml", workload_package=site, store=str(project / "file" / "store"))
    assert job.wait(LONGEST_S) == "FAILED"
    assert job.about().exit_code == 3
    (line,) = [line for line in job.logs() if line.startswith("assay: ")]
    assert line.startswith(f"assay: cannot read the store {project}/file/store: ")

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow.invalid:9")
    job = client.submit("sums.yaml", workload_package=site)
    succeeded(job)
    assert any("MLflow at http://mlflow.invalid:9 could not be written to" in line for line in job.logs())
    assert list(job.results()["total"]) == [6]


# What goes away


def kill(machine: subprocess.Popen[bytes]) -> None:
    """Nobody there gets to say anything."""
    for process in [*descendants(machine.pid), machine.pid]:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    machine.wait()


def test_a_machine_lost_in_the_middle_of_a_fan_out_changes_no_result(
    cluster: LocalCluster, project: Path, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = cluster.add_machine()
    client = assay.Client(cluster.address, token=cluster.token)
    with monkeypatch.context() as patch:
        patch.delenv("ASSAY_HOME")
        with pytest.raises(UserError, match="the cluster has 2 machines: name a store that all of them can reach"):
            client.submit("wide.yaml", workload_package=site)

    gates = project / "gates"
    gates.mkdir()
    (gates / "shut").touch()
    job = client.submit("wide.yaml", {"draw.gates": str(gates)}, workload_package=site)

    def drawing() -> set[bool]:
        """Whether on the machine, of each process that draws."""
        there = descendants(machine.pid)
        return {int(path.name) in there for path in gates.glob("[0-9]*")}

    until(lambda: drawing() == {True, False})
    kill(machine)
    (gates / "shut").unlink()
    succeeded(job)

    undisturbed = assay.run(load_sweep("wide.yaml"), Home(project / "inline"), executor="inline").trials[0]
    (row,) = job.results().to_dict("records")
    assert (row["key"], row["total"]) == (undisturbed.planned.leaf.key, undisturbed.metrics["total"])


def test_a_head_that_is_killed_is_a_job_to_submit_again(
    cluster: LocalCluster, project: Path, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last test, since this cluster is everybody's."""
    (project / "shut-10").touch()
    store = project / "home" / "store"

    def submit(cluster: LocalCluster) -> assay.client.Job:
        client = assay.Client(cluster.address, token=cluster.token)
        return client.submit("rungs.yaml", {"count.gates": str(project)}, workload_package=site)

    def records() -> dict[str, str]:
        return {path.parent.name: path.read_text() for path in store.glob("results/*/result.json")}

    job = submit(cluster)
    until(lambda: len(records()) == 1)
    before = records()
    kill(cluster.machines[0])
    monkeypatch.setattr(following, "GIVE_UP_S", 1.0)
    with pytest.raises(ClusterError, match="does not answer"):
        list(job.logs(follow=True))
    with LocalCluster(num_cpus=1) as another:
        with pytest.raises(UnknownJob, match="submit the sweep again: it resumes from what is stored"):
            assay.client.Job(assay.Client(another.address, another.token)._cluster, job.id).status()
        (project / "shut-10").unlink()
        again = submit(another)
        assert again.id == job.id
        succeeded(again)
        assert "1 of 2 stages are stored already" in "\n".join(again.logs())
        assert list(again.results()["total"]) == [10, 55]
    assert before.items() <= records().items()
