"""PyTorch locks a folder of operators while it compiles them, and waits for a lock as long as it is there: one that a
killed process left would hang every later training of this user."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torch.utils.cpp_extension import get_default_build_root

OURS = "assay.lock"
"""Held while a process of ours compiles. The kernel lets go of it when that process ends, however it ends."""
LOCK = "lock"
"""As PyTorch calls its own."""
ABANDONED_S = 1800.0
"""A lock that is older was left by a program that is not ours: no operator takes that long."""


def operators_folder() -> Path:
    """Where PyTorch keeps what it compiled."""
    return Path(os.environ.get("TORCH_EXTENSIONS_DIR") or get_default_build_root())


@contextmanager
def compiling(folder: Path) -> Iterator[None]:
    """Within it no other process of ours compiles, and no abandoned lock is in the way. Raises OSError where the folder
    cannot be written to."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / OURS).open("a+") as ours:
        fcntl.flock(ours, fcntl.LOCK_EX)
        was_killed = os.fstat(ours.fileno()).st_size > 0
        for lock in folder.rglob(LOCK):
            if was_killed or time.time() - lock.stat().st_mtime > ABANDONED_S:
                lock.unlink(missing_ok=True)
        ours.truncate(0)
        ours.write("compiling")
        ours.flush()
        try:
            yield
        finally:
            ours.truncate(0)
