"""What a file system raises, as one error that names the store: each has a library below it with errors of its own."""

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
    """That something is not there is no trouble: FileNotFoundError passes."""
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
def room_told(what: str, folder: Path) -> Iterator[None]:
    """Who writes into a folder of a disk that becomes full hears it as a StoreError, whatever library wrote.

    Some keep the system's error to themselves (torch: "file write failed"): then the disk is asked.
    """
    try:
        yield
    except AssayError:
        raise
    except Exception as error:
        says_why = isinstance(error, OSError) and error.errno is not None
        if reason := no_room(error) or (None if says_why else _asked(folder)):
            raise full(what, reason) from error
        raise


def no_room(error: BaseException | None) -> str | None:
    """In words, where it or what it came of says that there is no room."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            return first_line(error)
        error = error.__cause__ or error.__context__
    return None


def full(what: str, reason: str) -> StoreError:
    return StoreError(
        f"{what} is full: {reason}. Free some room, then run the same command again: what is finished is kept"
    )


def cannot_read(url: str, why: str) -> StoreError:
    return StoreError(f"cannot read the store {url}: {why}; see: assay doctor")


def cannot_write(url: str, error: Exception) -> StoreError:
    if reason := no_room(error):
        return full(f"the store {url}", reason)
    return StoreError(f"cannot write to the store {url}: {first_line(error)}; see: assay doctor")


def _asked(folder: Path) -> str | None:
    """Whether files in a folder cannot grow any more: by trying, since no other way knows of quotas."""
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
