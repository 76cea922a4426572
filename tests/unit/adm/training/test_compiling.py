"""A compilation that was killed does not hang the trainings that come after it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from adm.training.engines.compiling import ABANDONED_S, compiling

COMPILE = """
import sys, time
from pathlib import Path
from adm.training.engines.compiling import compiling
folder = Path(sys.argv[1])
with compiling(folder):
    (folder / "fused_adam").mkdir()
    (folder / "fused_adam" / "lock").touch()
    print("begun", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """PyTorch's, of a compilation that somebody is busy with."""
    (tmp_path / "py311_cpu" / "fused_adam").mkdir(parents=True)
    lock = tmp_path / "py311_cpu" / "fused_adam" / "lock"
    lock.touch()
    return lock


@pytest.mark.slow
def test_a_lock_that_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", COMPILE, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with compiling(tmp_path):
        assert not (tmp_path / "fused_adam" / "lock").exists()


def test_somebody_elses_lock_is_waited_for_until_it_is_old(tmp_path: Path, lock: Path) -> None:
    with compiling(tmp_path):
        assert lock.exists()
    old = time.time() - ABANDONED_S - 1
    os.utime(lock, (old, old))
    with compiling(tmp_path):
        assert not lock.exists()


def test_a_compilation_that_failed_is_no_killed_one(tmp_path: Path, lock: Path) -> None:
    with pytest.raises(RuntimeError), compiling(tmp_path):
        raise RuntimeError
    with compiling(tmp_path):
        assert lock.exists()
