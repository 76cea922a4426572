"""The cluster that a run starts for itself, as another user of the machine meets it. One cluster for all tests."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from typing import Any

import pytest

from patience import LONGEST_S

pytestmark = pytest.mark.cluster

SCRIPT = """
import json, os
from pathlib import Path

import psutil

from assay.execution.ray.session import session

with session(None, Path(os.environ["HOME"], "ray.log")):
    import ray

    def seen():
        return {"environment": dict(os.environ), "ip": ray.util.get_node_ip_address()}

    in_worker = ray.get(ray.remote(seen).options(num_cpus=1).remote())
    token_file = Path(os.environ["RAY_AUTH_TOKEN_PATH"])
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    listening = [
        [process.name(), connection.laddr.ip, connection.laddr.port]
        for process in processes
        for connection in process.net_connections("tcp")
        if connection.status == "LISTEN"
    ]
    token = token_file.read_text()
    secret_places = [process.name() for process in processes if token in repr([process.cmdline(), process.environ()])]
    folder = token_file.parent
    modes = {name: os.stat(folder / name).st_mode for name in (".", "token")}
    session_folder = ray._private.worker._global_node.get_session_dir_path()
with_token = [str(path) for path in folder.rglob("*") if path.is_file() and token.encode() in path.read_bytes()]
print(json.dumps({
    "listening": listening, "modes": modes, "in_worker": in_worker, "folder": str(folder), "token": token,
    "session_folder": session_folder, "secret_places": secret_places, "with_token": with_token,
    "logs": [path.name for path in Path(session_folder, "logs").iterdir()],
    "auth_left": {name: value for name, value in os.environ.items() if name.startswith("RAY_AUTH")},
}))
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a run sees of its cluster, and what it leaves. The user has a folder of Ray's that is another cluster's."""
    home = tmp_path_factory.mktemp("home")
    (home / ".ray").mkdir()
    (home / ".ray" / "auth_token").write_text("of another cluster")
    environment = {**os.environ, "HOME": str(home), "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "of another cluster"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, timeout=LONGEST_S
    )
    assert done.returncode == 0, done.stderr
    return {**json.loads(done.stdout.splitlines()[-1]), "home": home}


def test_it_listens_to_this_machine_alone(seen: dict[str, Any]) -> None:
    assert {name for name, _, _ in seen["listening"]} >= {"gcs_server", "raylet"}
    outside = [entry for entry in seen["listening"] if entry[1].removeprefix("::ffff:") not in ("127.0.0.1", "::1")]
    assert outside == []
    assert seen["in_worker"]["ip"] == "127.0.0.1"


def test_its_folder_and_its_token_are_its_users(seen: dict[str, Any]) -> None:
    assert stat.S_IMODE(seen["modes"]["."]) == 0o700
    assert stat.S_IMODE(seen["modes"]["token"]) == 0o600
    assert seen["session_folder"].startswith(seen["folder"] + "/")
    assert len(seen["token"]) == 64


def test_the_token_is_in_no_environment_no_command_line_and_no_log_and_gone_afterwards(seen: dict[str, Any]) -> None:
    assert seen["secret_places"] == []
    assert "RAY_AUTH_TOKEN" not in seen["in_worker"]["environment"]
    assert seen["with_token"] == []
    assert "raylet.out" in seen["logs"], "kept for who looks for a cause"
    assert not [name for name in seen["logs"] if name.startswith("log_monitor")], "nobody would read what it passes on"


def test_the_users_own_cluster_is_left_alone(seen: dict[str, Any]) -> None:
    assert [path.name for path in (seen["home"] / ".ray").iterdir()] == ["auth_token"]
    assert (seen["home"] / ".ray" / "auth_token").read_text() == "of another cluster"
    assert seen["auth_left"] == {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "of another cluster"}
    assert seen["token"] != "of another cluster"
