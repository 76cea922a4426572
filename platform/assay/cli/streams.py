"""Standard streams that may be closed, full, or read by nobody any more."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from typing import Any, TextIO, cast

Lost = Callable[[OSError], None]


class OutputLost(Exception):
    """Stdout takes no more. No OSError, which Typer would end with a code that means something else."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Output:
    """A text stream that fails once: what is written later is dropped, and so is what Python flushes at exit."""

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
    """Streams that can be written to: one that is closed is the null device, a character that it lacks is "?".

    Inside, what prints raises OutputLost where stdout takes no more; where stderr does not, there is nobody to tell.
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
def going_on_without_stdout(lost: Lost) -> Iterator[Output | None]:
    """Call `lost` instead of raising OutputLost, which would come out of whatever prints: a body, a thread."""
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
    """A file that is opened next would get the number of a closed stream, and all that is printed."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "r" if number == 0 else "w", closefd=False))  # noqa: SIM115
