"""How commands print results on stdout: as a table for people or as JSON for programs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from typing import Any, TextIO, cast

from assay.cli.streams import Output
from assay.home import Home
from assay.look import a_look
from assay.redaction import printable
from assay.report.tables.grids import Terminal
from assay.store import Store

PIPED_WIDTH = 120


def read_only_store(home: Home) -> Store:
    """A store that reports damage on stderr, one line each, but leaves it for a run to set aside."""
    return Store(home.store_url, lambda message: print(printable(f"assay: {message}"), file=sys.stderr), heals=False)


def console() -> Terminal:
    """Stdout. A pipe has no width, so tables get enough for their names."""
    is_sized = sys.stdout.isatty() or bool(os.environ.get("COLUMNS"))
    return Terminal(width=None if is_sized else PIPED_WIDTH)


def print_text(text: str) -> None:
    """Text without terminal control characters."""
    print(printable(text))


def print_warnings(warned: Sequence[str]) -> None:
    """To stderr, one line each: results are on stdout."""
    for message in warned:
        print(f"warning: {printable(message, is_line=True)}", file=sys.stderr)


def print_json(value: Any) -> None:
    """Escapes characters that stdout's encoding lacks: programs read the same value."""
    is_unicode = (sys.stdout.encoding or "utf-8").lower().startswith("utf")
    json.dump(value, sys.stdout, indent=1, ensure_ascii=not is_unicode, allow_nan=False)
    print()


@contextmanager
def data_remarks_printed(verifies: bool) -> Iterator[None]:
    """Look at a sweep's data inside, and print the remarks on stderr."""
    with a_look(verifies=verifies) as look:
        yield
    for remark in dict.fromkeys(look.remarks):
        print(remark, file=sys.stderr)


@contextmanager
def stderr_apart() -> Iterator[None]:
    """Give Python's stderr a file descriptor of its own, to tell it from what C++ libraries write to stderr."""
    shown = sys.stderr
    stream = shown.stream if isinstance(shown, Output) else shown
    if not isinstance(stream, TextIOWrapper) or stream.fileno() != 2:
        yield  # captured, as by pytest
        return
    shown.flush()
    apart = open(os.dup(2), "w", buffering=1, encoding=stream.encoding, errors=stream.errors)  # noqa: SIM115, PTH123
    sys.stderr = cast(TextIO, Output(apart, shown.lost)) if isinstance(shown, Output) else apart
    try:
        yield
    finally:
        sys.stderr.flush()
        sys.stderr = shown  # the other one stays open: loggers may hold it
