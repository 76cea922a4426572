"""Remove abandoned locks of PyTorch's operator builds.

PyTorch locks the folder in which it compiles operators, and waits for as long as the lock exists: a lock left by a
killed process would block every later training of this user.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torch.utils.cpp_extension import get_default_build_root

OURS = "assay.lock"
"""Our own lock while a process compiles. The kernel releases it when the process ends, also when it is killed."""
LOCK = "lock"
"""PyTorch's name for its own lock."""
ABANDONED_S = 1800.0
"""Age in seconds from which another program's lock is abandoned: no operator takes that long to compile."""


def operators_folder() -> Path:
    """Where PyTorch keeps compiled operators."""
    return Path(os.environ.get("TORCH_EXTENSIONS_DIR") or get_default_build_root())


@contextmanager
def compiling(folder: Path) -> Iterator[None]:
    """Hold our lock on the folder, after removing abandoned locks of PyTorch's. Raises OSError if the folder is not
    writable."""
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
