"""Someone at a terminal: the `assay` command as a process, what it stores, and the processes it starts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

LONGEST_S = 420


class User:
    """Has a sweep file and a store of their own."""

    def __init__(self, folder: Path, sweep: str) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.sweep = folder / "sweep.yaml"
        self.sweep.write_text(sweep)
        self.store = folder / ".assay" / "store"

    def start(self, *args: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(Path(sys.executable).with_name("assay")), *args],
            cwd=self.folder,
            env={**os.environ, "ASSAY_HOME": str(self.folder / ".assay")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *args: str) -> str:
        process = self.start(*args)
        output, errors = process.communicate(timeout=LONGEST_S)
        assert process.returncode == 0, output + errors
        return output

    def until(self, process: subprocess.Popen[str], condition: Callable[[], bool]) -> None:
        """Wait until the condition holds while the process runs. Fails, and ends the process, where it never does."""
        deadline = time.monotonic() + LONGEST_S
        while not condition():
            if process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.02)
                continue
            process.kill()
            output, errors = process.communicate()
            raise AssertionError(f"the moment never came; exit {process.returncode}\n{output}\n{errors}")

    def kill_when(self, condition: Callable[[], bool]) -> None:
        """Start the sweep, and kill -9 its driver as soon as the condition holds."""
        process = self.start("run", "sweep.yaml", "--plain")
        self.until(process, condition)
        process.send_signal(signal.SIGKILL)
        process.communicate()

    def records(self) -> dict[str, dict[str, Any]]:
        """Key → the record of every committed result."""
        return {p.parent.name: json.loads(p.read_text()) for p in self.store.glob("results/*/result.json")}

    def stages(self) -> list[str]:
        return sorted(record["stage"] for record in self.records().values())

    def checkpoints(self) -> list[Path]:
        return list(self.store.glob("progress/*/checkpoints/*.json"))

    def training_workers(self) -> list[int]:
        """Process ids of the Ray Train workers of this user's runs."""
        return self.workers("TrainWorker")

    def workers(self, kind: str) -> list[int]:
        """Process ids of this user's Ray workers whose title says so, as Ray gives it: ray::MapWorker(…)."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                is_worker = kind.encode() in (process / "cmdline").read_bytes()
                if is_worker and str(self.folder).encode() in (process / "environ").read_bytes():
                    found.append(int(process.name))
            except OSError:
                continue  # ended since it was listed
        return found
