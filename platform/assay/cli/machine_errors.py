"""Errors caused by the machine, printed in one line with advice; anything else keeps its traceback."""

from __future__ import annotations

import errno
import os

from assay.text import first_line

ADVICE = {
    errno.ENOSPC: "free some space, or set ASSAY_HOME to a folder on another disk",
    errno.EDQUOT: "free some space, or set ASSAY_HOME to a folder on another disk",
    errno.EFBIG: "the shell limits the size of files; raise it: ulimit -f unlimited",
    errno.EMFILE: "the shell limits open files; raise it: ulimit -n 4096",
    errno.ENFILE: "the machine has too many open files; close some programs",
    errno.EROFS: "set ASSAY_HOME to a writable folder",
    errno.EACCES: "check the permissions of the file and its parent folders, or set ASSAY_HOME to another folder",
    errno.EPERM: "check the permissions of the file and its parent folders, or set ASSAY_HOME to another folder",
    errno.ENOTDIR: "a folder was expected there; set ASSAY_HOME to another one",
    errno.ENAMETOOLONG: "set ASSAY_HOME to a shorter path",
    errno.ELOOP: "a link leads back to itself; set ASSAY_HOME to another folder",
    errno.EAGAIN: "the shell or a container limits processes; raise it: ulimit -u 4096",
    errno.ENOMEM: "close other programs, or raise the limit: ulimit -v unlimited",
}
NO_MEMORY = "memory ran out; close other programs, or raise the limit: ulimit -v unlimited"
NO_THREADS = "no thread can be started; the shell or a container limits processes: ulimit -u 4096"
LOADER_ERRORS = {
    "Too many open files": ADVICE[errno.EMFILE],
    "failed to map segment": ADVICE[errno.ENOMEM],
    "Cannot allocate memory": ADVICE[errno.ENOMEM],
}
"""What the dynamic loader writes into an ImportError → advice."""


def in_one_line(error: BaseException) -> str | None:
    """The error as a condition of the machine, its files or its limits; None if it may be a bug."""
    if isinstance(error, FileNotFoundError) and not _has_cwd():
        return "the current folder no longer exists: change to another"
    if isinstance(error, UnicodeError):
        return f"{first_line(error)}; text and names are UTF-8: check the file, or set LC_ALL=C.UTF-8"
    if isinstance(error, OSError) and error.errno is not None:
        names = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
        advice = ADVICE.get(error.errno)
        return f"{': '.join([*names, os.strerror(error.errno)])}{f'; {advice}' if advice else ''}"
    if isinstance(error, MemoryError):
        return NO_MEMORY
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        return NO_THREADS
    if isinstance(error, ImportError):
        advice = next((advice for text, advice in LOADER_ERRORS.items() if text in str(error)), None)
        return None if advice is None else f"{first_line(error)}; {advice}"
    return None


def _has_cwd() -> bool:
    try:
        os.getcwd()  # noqa: PTH109
    except OSError:
        return False
    return True
