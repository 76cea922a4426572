"""Files that replace others at once: who reads them, or writes them at the same time, never meets half of one."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from assay.store.scratch import remove_leftovers, scratch

PREFIX = ".assay-writing-"


@contextmanager
def written_aside(folder: Path, outdated: Callable[[Path], Iterable[Path]] = lambda aside: ()) -> Iterator[Path]:
    """An empty folder to write into. At the end its files replace those of their names in `folder`, and what is then
    `outdated` goes, all of it while no other writer does the same. Raises OSError.

    Nothing changes where the body raises.
    """
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder, PREFIX)
    with scratch(folder, PREFIX) as aside:
        yield aside
        with _alone_in(folder):
            old = list(outdated(aside))
            for file in sorted(path for path in aside.rglob("*") if path.is_file()):
                target = folder / file.relative_to(aside)
                target.parent.mkdir(parents=True, exist_ok=True)
                file.replace(target)
            for file in old:
                file.unlink(missing_ok=True)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """One writer at a time, where the file system has locks."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF):
                raise  # those are network file systems that have none: each file is whole all the same
        yield
    finally:
        os.close(descriptor)
