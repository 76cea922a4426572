"""Standard streams that may be closed, full, or no longer read."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from typing import Any, TextIO, cast

Lost = Callable[[OSError], None]


class OutputLost(Exception):
    """Stdout cannot be written. Not an OSError, for which Typer would choose another exit code."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Output:
    """A text stream that fails once: later output is dropped, including what Python flushes at exit."""

    def __init__(self, stream: TextIO, lost: Lost) -> None:
        self.stream, self.lost = stream, lost
        self.failure: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        self._attempt(lambda: self.stream.write(text))
        return len(text)

    def flush(self) -> None:
        self._attempt(self.stream.flush)

    def _attempt(self, do: Callable[[], object]) -> None:
        if self.failure is not None:
            return
        try:
            do()
        except OSError as error:
            self.failure = error
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, self.stream.fileno())
            os.close(nothing)
            self.lost(error)


@contextmanager
def standard_streams() -> Iterator[None]:
    """Make the standard streams writable: a closed one becomes the null device, unsupported characters become "?".

    Inside, printing raises OutputLost if stdout cannot be written; if stderr cannot, its output is dropped.
    """
    _open_closed()
    out, err = sys.stdout, sys.stderr
    if isinstance(out, TextIOWrapper):
        out.reconfigure(errors="replace")
    sys.stdout, sys.stderr = cast(TextIO, Output(out, _raise)), cast(TextIO, Output(err, lambda error: None))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = out, err


@contextmanager
def continuing_without_stdout(lost: Lost) -> Iterator[Output | None]:
    """Call `lost` instead of raising OutputLost, which would surface anywhere that prints, in a body or a thread."""
    out = cast(object, sys.stdout)
    if not isinstance(out, Output):
        yield None
        return
    before, out.lost = out.lost, lost
    try:
        yield out
    finally:
        out.lost = before


def _raise(error: OSError) -> None:
    raise OutputLost(error)


def _open_closed() -> None:
    """The next opened file would get the descriptor of a closed stream, and everything that is printed."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "r" if number == 0 else "w", closefd=False))  # noqa: SIM115
