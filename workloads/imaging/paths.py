"""Paths that a config names: where they start, how they are shown, and why what is there cannot be read."""

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
    *("checkpoint", "imported.path", "inception.weights"),
)
"""Where stages' configs say where their files are."""
NO_FILES = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def whole(path: str) -> Path:
    """A path of a config from the root on. ~ is the user's home folder; a relative path starts where she stands, also
    one that a sweep file holds.

    Called where a sweep is planned, so every executor and every machine is told the same. Raises UserError.
    """
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError as error:  # ~ of nobody
        raise UserError(f"{path!r}: {error} Write the whole path") from error


def shown(path: str | os.PathLike[str]) -> str:
    """A path for messages: on one line, and what of a name is no text is escaped."""
    return printable(os.fsencode(path).decode(errors="backslashreplace"), is_line=True)


def is_there(path: Path) -> bool:
    """Whether a path leads to anything, seen from here. Raises UserError where that cannot be told."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    return True


def status_of(path: str | os.PathLike[str]) -> os.stat_result:
    """The size and times of a file. Raises UserError for what is none, and for what cannot be looked at."""
    try:
        found = os.stat(path)  # noqa: PTH116  a million of them
    except OSError as error:
        raise unreadable(path, error) from error
    if not stat.S_ISREG(found.st_mode):
        kind = NO_FILES.get(stat.S_IFMT(found.st_mode), "no file")
        raise UserError(f"{shown(path)} is {kind}, allowed: a file with contents; move it away")
    return found


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A path to write to that takes the place of `path` at the end; where the body raises, nothing of it is left."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def unreadable(path: str | os.PathLike[str], error: Exception) -> UserError:
    """What to say where the system refuses to let a file or folder be read."""
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
    """Those of PLACES that a stage's config has, and that a digest beside them makes needless in its key."""
    return tuple(path for path in PLACES if _is_identified(config, path))


def _is_identified(config: Mapping[str, Any], path: str) -> bool:
    section = section_of(config, path)
    if section is None or section[path.rpartition(".")[2]] is None:
        return False
    return (section.get("contents") or section.get("sha256")) is not None
