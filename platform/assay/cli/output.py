"""Where a command's answer goes: stdout, as a table for people or as JSON for programs."""

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
from assay.report.tables.grids import Terminal
from assay.store import Store
from assay.text import printable

PIPED_WIDTH = 120


def store_to_look_at(home: Home) -> Store:
    """What is damaged in it is told on stderr, a line each, and left out; a run sets it aside."""
    return Store(home.store_url, lambda message: print(printable(f"assay: {message}"), file=sys.stderr), heals=False)


def console() -> Terminal:
    """Stdout. A pipe has no width of its own: tables get room enough not to fold their names."""
    is_sized = sys.stdout.isatty() or bool(os.environ.get("COLUMNS"))
    return Terminal(width=None if is_sized else PIPED_WIDTH)


def print_text(text: str) -> None:
    """Text as it is, but for what a terminal would obey."""
    print(printable(text))


def print_warnings(warned: Sequence[str]) -> None:
    """To stderr, a line each: the answer itself is on stdout."""
    for message in warned:
        print(f"warning: {printable(message, is_line=True)}", file=sys.stderr)


def print_json(value: Any) -> None:
    """Characters that stdout's encoding may lack are written as JSON's escapes: programs read the same."""
    is_unicode = (sys.stdout.encoding or "utf-8").lower().startswith("utf")
    json.dump(value, sys.stdout, indent=1, ensure_ascii=not is_unicode, allow_nan=False)
    print()


@contextmanager
def a_told_look(verifies: bool) -> Iterator[None]:
    """A look at the data of a sweep; what it remarks goes to stderr."""
    with a_look(verifies=verifies) as look:
        yield
    for remark in dict.fromkeys(look.remarks):
        print(remark, file=sys.stderr)


@contextmanager
def stderr_apart() -> Iterator[None]:
    """Within it Python's stderr has a file descriptor of its own, and what C++ writes to stderr can be told from it."""
    shown = sys.stderr
    stream = shown.stream if isinstance(shown, Output) else shown
    if not isinstance(stream, TextIOWrapper) or stream.fileno() != 2:
        yield  # somebody's capture
        return
    shown.flush()
    apart = open(os.dup(2), "w", buffering=1, encoding=stream.encoding, errors=stream.errors)  # noqa: SIM115, PTH123
    sys.stderr = cast(TextIO, Output(apart, shown.lost)) if isinstance(shown, Output) else apart
    try:
        yield
    finally:
        sys.stderr.flush()
        sys.stderr = shown  # the other one stays open: loggers may have kept it
