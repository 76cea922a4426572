"""Someone with a cluster: a project folder, workloads of their own that are installed here only, a way to the cluster.

A proxy stands between: it drops connections when told to, as a laptop's network does.
"""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import threading
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from assay.jobs.local import LocalCluster

TESTS = Path(__file__).parent
LONGEST_S = 420


def installed(folder: Path) -> Path:
    """A folder that, on the path, makes the toy and the light workload installed ones."""
    folder.mkdir()
    for name in ("toy", "light"):
        info = folder / f"{name}-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        (info / "entry_points.txt").write_text(f"[assay.workloads]\n{name} = {name}_workload:workload\n")
        (folder / f"{name}_workload.py").symlink_to(TESTS / f"{name}_workload.py")
    return folder


def until(condition: Callable[[], bool]) -> None:
    """Wait until the condition holds. Fails where it never does."""
    deadline = time.monotonic() + LONGEST_S
    while not condition():
        assert time.monotonic() < deadline, "the moment never came"
        time.sleep(0.05)


def asked(cluster: LocalCluster, path: str) -> Any:
    """What the cluster's dashboard says."""
    request = urllib.request.Request(cluster.address + path, headers={"Authorization": f"Bearer {cluster.token}"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["data"]


def held(cluster: LocalCluster) -> list[str]:
    """What somebody holds of the cluster: actors, placement groups, resources.

    But for an actor of Ray's own that stays, one a cluster, and takes nothing.
    """
    found = []
    for kind in ("actors", "placement_groups"):
        listed = asked(cluster, f"/api/v0/{kind}")["result"]["result"]
        found += [
            f"{kind}: {thing}"
            for thing in listed
            if thing["state"] not in ("DEAD", "REMOVED") and thing.get("class_name") != "_AutoscalingCoordinatorActor"
        ]
    for node, resources in asked(cluster, "/nodes?view=summary")["nodeLogicalResources"].items():
        found += [f"{node}: {line}" for line in resources.splitlines() if line and not line.startswith("0")]
    return found


def run_statuses(database: Path) -> list[str]:
    """Of every run in MLflow's database."""
    with sqlite3.connect(database) as connection:
        return [status for (status,) in connection.execute("select status from runs")]


class Proxy:
    """Passes a port of this machine on to an address."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self._to = (parts.hostname, parts.port)
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def drop(self) -> None:
        """Cut every connection there is."""
        for opened in self._sockets:
            _close(opened)
        self._sockets.clear()

    def close(self) -> None:
        _close(self._listener)
        self.drop()

    def _accept(self) -> None:
        while True:
            try:
                inward, _ = self._listener.accept()
                outward = socket.create_connection(self._to)
            except OSError:
                return
            self._sockets += [inward, outward]
            for source, target in ((inward, outward), (outward, inward)):
                threading.Thread(target=_pass_on, args=(source, target), daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):  # cut
        while data := source.recv(65536):
            target.sendall(data)
    _close(target)


def _close(opened: socket.socket) -> None:
    with suppress(OSError):  # it never was connected, or is not any more
        opened.shutdown(socket.SHUT_RDWR)
    opened.close()


def descendants(pid: int) -> list[int]:
    """Process ids of all that a process started, and of what these did."""
    children: dict[int, list[int]] = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # ended since it was listed
        children.setdefault(parent, []).append(int(process.name))
    found, left = [], [pid]
    while left:
        found += (more := children.get(left.pop(), []))
        left += more
    return found


def environment(cluster: LocalCluster, site: Path) -> dict[str, str]:
    """Of a shell that may use the cluster, by its token and no other: a Ray that this process started has one, too."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH_")},
        "PYTHONPATH": str(site),
        "ASSAY_ADDRESS": cluster.address,
        "RAY_AUTH_TOKEN_PATH": str(cluster.token_path),
    }
