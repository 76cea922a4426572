"""Whether an unreadable path in a local store is damaged itself, or the whole store is unreachable."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

OF_ONE_PLACE = {
    *(errno.EACCES, errno.EPERM, errno.EIO, errno.ELOOP, errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY),
    *(errno.ENXIO, errno.ENODATA, errno.EINVAL, errno.ENAMETOOLONG, errno.ESTALE, errno.EBADMSG, errno.EUCLEAN),
}
"""Errors that concern one file or folder. Others (no memory, too many open files) concern the process."""


class Damage(Exception):
    """A path of the store, relative to its root, is not what belongs there; `why` says what is wrong."""

    def __init__(self, path: str, why: str) -> None:
        self.path = path
        # A name that is not valid text is shown with its bytes: "caf\xe9.json".
        super().__init__(f"{path} {why}".encode("utf-8", "backslashreplace").decode())

    @property
    def is_of_the_store(self) -> bool:
        """The root and its direct folders are shared by all keys: they may be a disk that is not mounted."""
        return "/" not in self.path


def check_file(file: Path) -> None:
    """Raises OSError unless the file can be opened. A pipe would block until somebody writes to it."""
    mode = file.stat().st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "is a folder, not a file")
    if not stat.S_ISREG(mode):
        raise OSError(errno.ENXIO, "is a device or a pipe, not a file")


def check_folder(folder: Path) -> None:
    """Raises OSError unless the folder's entries can be listed and opened."""
    if not stat.S_ISDIR(folder.stat().st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "is not a folder")
    if not os.access(folder, os.R_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise PermissionError(errno.EACCES, "is a folder without read permission")


def blame(root: Path, path: str, error: Exception) -> Damage | None:
    """What is damaged if looking at `path` raised `error`; None if the error is not about the path.

    The outermost path that is not a readable folder is to blame. A missing path is not damage.
    """
    parts = path.split("/") if path else []
    for depth in range(len(parts)):
        folder = "/".join(parts[:depth])
        try:
            check_folder(root / folder)
        except OSError as cause:
            return _damage(root, folder, cause)
    return _damage(root, path, error)


def _damage(root: Path, path: str, error: Exception) -> Damage | None:
    if isinstance(error, FileNotFoundError):
        return Damage(path, "is a broken link") if (root / path).is_symlink() else None
    if not isinstance(error, OSError) or error.errno not in OF_ONE_PLACE:
        return None
    why = str(error.strerror)
    return Damage(path, why if why.startswith("is ") else f"cannot be read: {why}")
