"""Write files atomically, so that concurrent readers and writers never see partial ones."""

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
    """An empty folder to write into. At the end its files replace those of the same names in `folder`, and `outdated`
    ones are deleted, while other writers wait. Raises OSError.

    If the body raises, nothing changes.
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
    """One writer at a time, if the file system has locks."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF):
                raise  # these errors come from network file systems without locks: still, each file is complete
        yield
    finally:
        os.close(descriptor)
