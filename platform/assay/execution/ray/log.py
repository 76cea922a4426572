"""Redirect the output of Ray, Tune, Train and Data in the driver to a file: users do not need their tracebacks."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from assay.errors import AssayError
from assay.execution.ray import private

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
STDERR = 2
"""The file descriptor that C++ code writes to, whatever sys.stderr is."""

NO_NEWS = (
    private.AUTHENTICATION_LOGGER,  # warns that a token is set
    "ray.tune.analysis.experiment_analysis",  # warns that trials left no files of Tune: ours are in the store
)


@contextmanager
def words_in(log: Path) -> Iterator[None]:
    """While inside, Ray's loggers and the output of its other processes go to the file. An empty one is removed.

    C++ output goes there too, if sys.stderr has another file descriptor: otherwise the process's own output would be
    redirected with it.
    """
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_bytes(b"")
        file = logging.FileHandler(log, encoding="utf-8")
    except OSError as error:
        raise AssayError(f"cannot write Ray's log to {log}: {error}. Nothing was started.") from error
    for name in NO_NEWS:
        logging.getLogger(name).setLevel(logging.ERROR)
    file.setFormatter(logging.Formatter(FORMAT))

    def keep(_: Any, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            file.handle(record)

    def keep_printed(data: Mapping[str, Any], ignore_prefix: bool) -> None:
        logging.getLogger("ray").warning("(%s) %s", data["pid"], "\n".join(data["lines"]))

    turned = None if _is_ours(STDERR) else os.dup(STDERR)
    if turned is not None:
        with log.open("ab") as native:
            os.dup2(native.fileno(), STDERR)
    try:
        with private.words_kept(keep, keep_printed):
            yield
    finally:
        if turned is not None:
            os.dup2(turned, STDERR)
            os.close(turned)
        file.close()
        with suppress(FileNotFoundError):  # somebody may have removed the folder meanwhile
            if not log.stat().st_size:
                log.unlink()


def _is_ours(descriptor: int) -> bool:
    """Whether Python's own stderr writes to it."""
    try:
        return sys.stderr.fileno() == descriptor
    except (AttributeError, OSError, ValueError):
        return False  # not a file: a notebook's stream, or closed
