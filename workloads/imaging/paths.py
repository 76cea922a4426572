"""Paths in a config: how they are resolved and shown, and errors for those that cannot be read."""

from __future__ import annotations

import errno
import os
import stat
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from assay.errors import UserError
from assay.redaction import printable
from assay.workload import section_of

PLACES = (
    *("data.path", "data.times", "images.data.path", "images.data.times"),
    *("validation_data.path", "validation_data.times"),
    *("checkpoint", "imported.path", "inception.weights", "dinov2.weights", "clip.weights"),
)
"""Config paths of stages that contain the location of files."""
NO_FILES = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def whole(path: str) -> Path:
    """The absolute path for a path in a config. ~ is the user's home; a relative path starts in the current folder,
    also if it is in a sweep file.

    Called when a sweep is planned, so that it is the same for every executor and machine. Raises UserError.
    """
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError as error:  # ~ of an unknown user
        raise UserError(f"{path!r}: {error} Write the whole path") from error


def shown(path: str | os.PathLike[str]) -> str:
    """A path for messages: on one line, with bytes that are not text escaped."""
    return printable(os.fsencode(path).decode(errors="backslashreplace"), is_line=True)


def is_there(path: Path) -> bool:
    """Whether a path exists on this machine. Raises UserError if that cannot be determined."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    return True


def status_of(path: str | os.PathLike[str]) -> os.stat_result:
    """The size and times of a file. Raises UserError if the path is not a file, or its status cannot be read."""
    try:
        status = os.stat(path)  # noqa: PTH116  a million of them
    except OSError as error:
        raise unreadable(path, error) from error
    if not stat.S_ISREG(status.st_mode):
        kind = NO_FILES.get(stat.S_IFMT(status.st_mode), "no file")
        raise UserError(f"{shown(path)} is {kind}, allowed: a file with contents; move it away")
    return status


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A temporary path to write to, which replaces `path` at the end. If the body raises, it is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def unreadable(path: str | os.PathLike[str], error: Exception) -> UserError:
    """The error for a file or folder that the system does not let us read."""
    name, why = shown(path), error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return UserError(f"{name} is a link that leads back to itself; mend it, or remove it")
    if isinstance(error, FileNotFoundError):
        if os.path.islink(path):  # noqa: PTH114
            target = shown(os.readlink(path))  # noqa: PTH115
            return UserError(f"{name} is a link to {target}, where there is nothing; mend it, or remove it")
        return UserError(f"{name} cannot be read: {why}; if it was there just now, let what removes it finish first")
    return UserError(f"{name} cannot be read: {why}; make it readable for this user, or move it away")


def places_in(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The PLACES in a stage's config that its key leaves out, because a digest beside them identifies the files."""
    return tuple(path for path in PLACES if _is_identified(config, path))


def _is_identified(config: Mapping[str, Any], path: str) -> bool:
    section = section_of(config, path)
    if section is None or section[path.rpartition(".")[2]] is None:
        return False
    return (section.get("contents") or section.get("sha256")) is not None
