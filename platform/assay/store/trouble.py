"""What a file system raises, as one error that names the store: each has a library below it with errors of its own."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from assay.errors import StoreError
from assay.text import hide_secrets

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def reading(url: str) -> Iterator[None]:
    """That something is not there is no trouble: FileNotFoundError passes."""
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as error:
        raise StoreError(f"cannot read the store {url}: {_first_line(error)}; see: assay doctor") from error


@contextmanager
def writing(url: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise cannot_write(url, error) from error


def has_no_room(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno in NO_ROOM


def cannot_write(url: str, error: Exception) -> StoreError:
    if has_no_room(error):
        return StoreError(
            f"the store {url} is full: {_first_line(error)}. Free some room, then run the same command again: what is "
            "finished is kept"
        )
    return StoreError(f"cannot write to the store {url}: {_first_line(error)}; see: assay doctor")


def _first_line(error: Exception) -> str:
    text = hide_secrets(str(error)).strip().partition("\n")[0]  # before it is cut: half a URL does not look like one
    return text[:300] or type(error).__name__
