"""PyTorch locks the folder of operators that it compiles, and waits as long as the lock exists: one left by a killed
process would block every later training of this user."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torch.utils.cpp_extension import get_default_build_root

OURS = "assay.lock"
"""Locked while one of our processes compiles. The kernel releases it when the process ends, for whatever reason."""
LOCK = "lock"
"""PyTorch's name for its own lock."""
ABANDONED_S = 1800.0
"""An older lock was left by another program: no operator takes that long."""


def operators_folder() -> Path:
    """Where PyTorch keeps compiled operators."""
    return Path(os.environ.get("TORCH_EXTENSIONS_DIR") or get_default_build_root())


@contextmanager
def compiling(folder: Path) -> Iterator[None]:
    """While inside, no other process of ours compiles, and no abandoned lock is in the way. Raises OSError if the
    folder is not writable."""
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
