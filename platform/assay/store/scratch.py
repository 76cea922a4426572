"""Temporary folders, locked while in use, so that those left by killed processes can be recognised."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import chain
from pathlib import Path

from assay.store.io_errors import writing

STAGING = "assay-staging-"
FETCHED = "assay-checkpoint-"
"""Prefixes of their names, for folders shared with other programs."""
LEFT_ALONE_S = 24 * 3600
"""How long another run may still be busy with what it started: no save or restore takes a day, and no two clocks are a
day apart. Anything older belongs to a killed process, unless it is locked."""


def is_recent(when: float) -> bool:
    """Whether a Unix time is within a day of now. It may lie ahead: the clock may have been set back since."""
    return abs(time.time() - when) < LEFT_ALONE_S


@contextmanager
def scratch(parent: Path, prefix: str) -> Iterator[Path]:
    """An empty local folder of this process, removed afterwards. Raises OSError."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    with in_use(folder):
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)  # a thread with an open file in it may create another meanwhile


@contextmanager
def in_use(folder: Path) -> Iterator[None]:
    """Mark the folder as used, so that `remove_leftovers` leaves it alone."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a filesystem without locks: `remove_leftovers` gets none either, and leaves it alone
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def run_folder(url: str) -> Iterator[str]:
    """A folder for one run below `url`, removed afterwards, together with those of killed runs.

    If `url` is not a disk, all runs share it: nothing there shows what is still in use.
    """
    if "://" in url:
        yield url
        return
    with ExitStack() as stack:
        with writing(url):
            Path(url).mkdir(parents=True, exist_ok=True)
            remove_leftovers(Path(url))
            folder = stack.enter_context(scratch(Path(url), "run-"))
        yield str(folder)


def leftovers(parent: Path, prefix: str = "") -> list[Path]:
    """Folders in `parent` that killed processes left."""
    try:
        entries = [entry for entry in parent.iterdir() if entry.name.startswith(prefix)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(f for f in entries if f.is_dir() and not f.is_symlink() and is_abandoned(f))


def remove_leftovers(parent: Path, prefix: str = "") -> None:
    for folder in leftovers(parent, prefix):
        shutil.rmtree(folder, ignore_errors=True)  # another process may be removing it; the rest is removed next time


def is_abandoned(path: Path) -> bool:
    """Whether this user's file or folder has not changed for a day and is not locked."""
    try:
        if path.lstat().st_uid != os.geteuid():
            return False
        inside = path.rglob("*") if path.is_dir() else []
        if any(is_recent(part.lstat().st_mtime) for part in chain((path,), inside)):
            return False
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:  # just removed, or not readable
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
