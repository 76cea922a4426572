"""Whose trouble it is that something in a local store cannot be read: one place's, or the whole store's."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

OF_ONE_PLACE = {
    *(errno.EACCES, errno.EPERM, errno.EIO, errno.ELOOP, errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY),
    *(errno.ENXIO, errno.ENODATA, errno.EINVAL, errno.ENAMETOOLONG, errno.ESTALE, errno.EBADMSG, errno.EUCLEAN),
}
"""What a file or a folder may have for itself. Others (no memory, too many open files) are this process's."""


class Damage(Exception):
    """Something in the store is not what belongs there: `path`, below the root, and in words what is wrong with it."""

    def __init__(self, path: str, why: str) -> None:
        self.path = path
        # A name that is no text is shown with its bytes: "caf\xe9.json".
        super().__init__(f"{path} {why}".encode("utf-8", "backslashreplace").decode())

    @property
    def is_of_the_store(self) -> bool:
        """The root, and the folders right below it, hold everybody's: they may be a disk that is not mounted."""
        return "/" not in self.path


def check_file(file: Path) -> None:
    """Raises OSError unless it can be opened: a pipe would be waited for until somebody writes into it."""
    mode = file.stat().st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "is a folder, and no file")
    if not stat.S_ISREG(mode):
        raise OSError(errno.ENXIO, "is a device or a pipe, and no file")


def check_folder(folder: Path) -> None:
    """Raises OSError unless what is in it can be listed and reached."""
    if not stat.S_ISDIR(folder.stat().st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "is no folder")
    if not os.access(folder, os.R_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise PermissionError(errno.EACCES, "is a folder that may not be read")


def blame(root: Path, path: str, error: Exception) -> Damage | None:
    """What is damaged where `error` came of looking at a path; None where that is not the path's own trouble.

    The outermost folder that is none takes the blame. That there is nothing at the path is no damage.
    """
    parts = path.split("/") if path else []
    for depth in range(len(parts)):
        folder = "/".join(parts[:depth])
        try:
            check_folder(root / folder)
        except OSError as trouble:
            return _damage(root, folder, trouble)
    return _damage(root, path, error)


def _damage(root: Path, path: str, error: Exception) -> Damage | None:
    if isinstance(error, FileNotFoundError):
        return Damage(path, "is a link to nothing") if (root / path).is_symlink() else None
    if not isinstance(error, OSError) or error.errno not in OF_ONE_PLACE:
        return None
    why = str(error.strerror)
    return Damage(path, why if why.startswith("is ") else f"cannot be read: {why}")
