"""How an attempt at a stage failed, and whether another may succeed. Pure: executors report, and act on the answer."""

from __future__ import annotations

import re
import tempfile
import traceback
from collections.abc import Sequence
from dataclasses import dataclass

from assay.errors import AssayError, StoreError
from assay.text import PLACE, one_line

CHANGING = re.compile(
    rf"0x[0-9a-f]+|\b[0-9a-f]{{16,}}\b|\b(?:pid|process|thread)\W{{1,2}}\d+|{re.escape(tempfile.gettempdir())}\S*",
    re.IGNORECASE,
)
"""What differs between the messages of equal failures: addresses, ids, processes, temporary files."""

BLAMED = "assay_stage"
"""The attribute of an error that holds the key of its stage."""


@dataclass(frozen=True)
class Failure:
    """A failed attempt at a stage."""

    trace: str
    """Everything known, for a log; `cause` is taken from it."""
    place: str | None = None
    """Where an exception was raised; empty before the work began. None if a process ended without a message."""
    is_final: bool = False
    """Whether no other attempt can succeed."""
    stage: str | None = None
    """Key of the stage that raised, in a pass of several; None if all of them failed."""

    @property
    def cause(self) -> str:
        """In one line: "RuntimeError: the loss is not a number"."""
        return one_line(self.trace)


def failure_of(error: BaseException) -> Failure:
    """The failure that an exception stands for. Import errors and refusals (AssayError) are final, but a store may
    become available again."""
    is_refusal = isinstance(error, AssayError) and not isinstance(error, StoreError)
    trace = "".join(traceback.format_exception(error)).strip()
    message = " ".join(str(error).split())
    if message != str(error).strip():  # several lines: add one with all of them for summaries
        trace += f"\n{type(error).__module__}.{type(error).__qualname__}: {message}".replace("\nbuiltins.", "\n")
    notes = reversed(getattr(error, "__notes__", ()))
    place = next((note for note in notes if note.startswith(PLACE)), "")
    is_final = is_refusal or isinstance(error, ImportError | SyntaxError)
    return Failure(trace, place, is_final, vars(error).get(BLAMED))


def blame(error: Exception, key: str) -> None:
    """Record which stage of a pass raised an error."""
    setattr(error, BLAMED, key)


def may_help(failures: Sequence[Failure], retries: int) -> bool:
    """Whether another attempt may succeed, given the failures since the stage last advanced, oldest first."""
    last = failures[-1]
    if last.is_final or len(failures) > retries:
        return False
    return len(failures) == 1 or not is_same(failures[-2], last)


def is_same(one: Failure, other: Failure) -> bool:
    """Whether both are the same exception, raised at the same place."""
    return one.place is not None and one.place == other.place and _lasting(one.cause) == _lasting(other.cause)


def _lasting(cause: str) -> str:
    return CHANGING.sub("…", cause)
