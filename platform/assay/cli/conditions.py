"""What the machine refuses, in a line that says what to do: no traceback for what is no mistake of assay's."""

from __future__ import annotations

import errno
import os

from assay.text import first_line

ADVICE = {
    errno.ENOSPC: "free some room, or name a folder on another disk in ASSAY_HOME",
    errno.EDQUOT: "free some room, or name a folder on another disk in ASSAY_HOME",
    errno.EFBIG: "the shell limits the size of files; raise it: ulimit -f unlimited",
    errno.EMFILE: "the shell limits open files; raise it: ulimit -n 4096",
    errno.ENFILE: "the machine has too many files open; end some programs",
    errno.EROFS: "name a folder that can be written to in ASSAY_HOME",
    errno.EACCES: "check the rights of the file and of the folders above it, or name another folder in ASSAY_HOME",
    errno.EPERM: "check the rights of the file and of the folders above it, or name another folder in ASSAY_HOME",
    errno.ENOTDIR: "a folder was expected there; name another one in ASSAY_HOME",
    errno.ENAMETOOLONG: "name a shorter path in ASSAY_HOME",
    errno.ELOOP: "links lead back to themselves; name another folder in ASSAY_HOME",
    errno.EAGAIN: "the shell or a container limits processes; raise it: ulimit -u 4096",
    errno.ENOMEM: "end other programs, or raise the limit: ulimit -v unlimited",
}
NO_MEMORY = "memory ran out; end other programs, or raise the limit: ulimit -v unlimited"
NO_THREADS = "no thread can be started; the shell or a container limits processes: ulimit -u 4096"
LOADER_SAYS = {
    "Too many open files": ADVICE[errno.EMFILE],
    "failed to map segment": ADVICE[errno.ENOMEM],
    "Cannot allocate memory": ADVICE[errno.ENOMEM],
}
"""What the dynamic loader writes into an ImportError."""


def in_one_line(error: BaseException) -> str | None:
    """What a condition of the machine, its files or its limits comes to; None for what may be a bug."""
    if isinstance(error, FileNotFoundError) and not _has_cwd():
        return "the folder where you stand is gone: change to one that is there"
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
        advice = next((advice for said, advice in LOADER_SAYS.items() if said in str(error)), None)
        return None if advice is None else f"{first_line(error)}; {advice}"
    return None


def _has_cwd() -> bool:
    try:
        os.getcwd()  # noqa: PTH109
    except OSError:
        return False
    return True
