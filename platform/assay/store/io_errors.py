"""One error for whatever a filesystem library raises, naming the store: each has errors of its own."""

from __future__ import annotations

import errno
import os
import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from assay.errors import AssayError, StoreError
from assay.text import first_line

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
TRIED_BYTES = 1 << 20


@contextmanager
def reading(url: str) -> Iterator[None]:
    """A missing file is not an error of the store: FileNotFoundError passes through."""
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as error:
        raise cannot_read(url, first_line(error)) from error


@contextmanager
def writing(url: str) -> Iterator[None]:
    try:
        yield
    except AssayError:
        raise
    except Exception as error:
        raise cannot_write(url, error) from error


@contextmanager
def full_disk_reported(what: str, folder: Path) -> Iterator[None]:
    """Turn a full disk into a StoreError, whichever library was writing to the folder.

    Some hide the system's error (torch: "file write failed"), so the disk is probed then.
    """
    try:
        yield
    except AssayError:
        raise
    except Exception as error:
        says_why = isinstance(error, OSError) and error.errno is not None
        if reason := no_room(error) or (None if says_why else _probed(folder)):
            raise full(what, reason) from error
        raise


def no_room(error: BaseException | None) -> str | None:
    """The message of the error, or of one that caused it, that says the disk is full; None if none does."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            return first_line(error)
        error = error.__cause__ or error.__context__
    return None


def full(what: str, reason: str) -> StoreError:
    return StoreError(
        f"{what} is full: {reason}. Free some space, then run the same command again: finished work is kept"
    )


def cannot_read(url: str, why: str) -> StoreError:
    return StoreError(f"cannot read the store {url}: {why}; see: assay doctor")


def cannot_write(url: str, error: Exception) -> StoreError:
    if reason := no_room(error):
        return full(f"the store {url}", reason)
    return StoreError(f"cannot write to the store {url}: {first_line(error)}; see: assay doctor")


def _probed(folder: Path) -> str | None:
    """Why files in a folder cannot grow, found by writing one: nothing else sees quotas. None if they can."""
    most, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    sizes = [0]
    for path in folder.rglob("*"):
        with suppress(OSError):
            sizes.append(path.lstat().st_size)
    if most != resource.RLIM_INFINITY and max(sizes) >= most:
        return os.strerror(errno.EFBIG)
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0" * TRIED_BYTES)
            file.flush()
    except OSError as error:
        return no_room(error)
    return None
