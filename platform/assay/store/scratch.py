"""Folders for a while: locked as long as they are used, so that one which a killed process left can be told apart."""

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
"""What the names of such folders begin with, where others have theirs, too."""
LEFT_ALONE_S = 24 * 3600
"""For so long another run may still be busy with what it began: no save and no restore takes a day, and no two clocks
are a day apart. Who began earlier was killed, unless it holds a lock."""


def is_recent(when: float) -> bool:
    """Whether a time in seconds is. One that lies further ahead was told by a clock that has been set back since."""
    return abs(time.time() - when) < LEFT_ALONE_S


@contextmanager
def scratch(parent: Path, prefix: str) -> Iterator[Path]:
    """An empty local folder, this process's own; gone afterwards. Raises OSError where there can be none."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    with in_use(folder):
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)  # who else has a file of it open may make another one meanwhile


@contextmanager
def in_use(folder: Path) -> Iterator[None]:
    """Within it nobody takes the folder for one that a killed process left."""
    held = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a filesystem without locks: there `remove_leftovers` gets none, and leaves it alone
            fcntl.flock(held, fcntl.LOCK_SH)
        yield
    finally:
        os.close(held)


@contextmanager
def run_folder(url: str) -> Iterator[str]:
    """A folder of one run's own below another, gone afterwards, as are those of runs that were killed.

    Where that is no disk, all runs share it: nothing tells there who still uses what.
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
    """Folders in there that killed processes left."""
    try:
        there = [entry for entry in parent.iterdir() if entry.name.startswith(prefix)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(f for f in there if f.is_dir() and not f.is_symlink() and is_left(f))


def remove_leftovers(parent: Path, prefix: str = "") -> None:
    for folder in leftovers(parent, prefix):
        shutil.rmtree(folder, ignore_errors=True)  # another process may remove it, too; what stays is there next time


def is_left(path: Path) -> bool:
    """Whether nothing of a file or folder of this user's has changed for a day, and nobody holds a lock on it."""
    try:
        if path.lstat().st_uid != os.geteuid():
            return False
        inside = path.rglob("*") if path.is_dir() else []
        if any(is_recent(part.lstat().st_mtime) for part in chain((path,), inside)):
            return False
        held = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:  # it has just gone, or may not be read
        return False
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(held)
    return True
