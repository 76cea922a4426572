"""How a try of a stage failed, and whether another may end otherwise. Pure: executors tell, and do as is decided."""

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
"""What differs between the messages of two equal failures: addresses, ids, processes, temporary files."""


@dataclass(frozen=True)
class Failure:
    """One try of a stage that came to nothing."""

    trace: str
    """All that is known, for a log; `cause` is found in it."""
    place: str | None = None
    """Where an exception was raised; empty before the work began. None where a process ended without a word."""
    is_final: bool = False
    """Whether no other try can mend it."""

    @property
    def cause(self) -> str:
        """In one line: "RuntimeError: the loss is not a number"."""
        return one_line(self.trace)


def failure_of(error: BaseException) -> Failure:
    """What a body raised. Code that cannot be imported stays so, and so does what it refuses to do (an AssayError); but
    a store may be there again."""
    is_refusal = isinstance(error, AssayError) and not isinstance(error, StoreError)
    trace = "".join(traceback.format_exception(error)).strip()
    message = " ".join(str(error).split())
    if message != str(error).strip():  # of several lines, which a summary should have all of
        trace += f"\n{type(error).__module__}.{type(error).__qualname__}: {message}".replace("\nbuiltins.", "\n")
    notes = reversed(getattr(error, "__notes__", ()))
    place = next((note for note in notes if note.startswith(PLACE)), "")
    return Failure(trace, place, is_refusal or isinstance(error, ImportError | SyntaxError))


def may_help(failures: Sequence[Failure], retries: int) -> bool:
    """Whether another try may end otherwise, after these since the stage last got further, oldest first."""
    last = failures[-1]
    if last.is_final or len(failures) > retries:
        return False
    return len(failures) == 1 or not is_same(failures[-2], last)


def is_same(one: Failure, other: Failure) -> bool:
    """Whether both are the same exception, raised at the same place."""
    return one.place is not None and one.place == other.place and _lasting(one.cause) == _lasting(other.cause)


def _lasting(cause: str) -> str:
    return CHANGING.sub("…", cause)
