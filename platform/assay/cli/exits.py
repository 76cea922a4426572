"""How commands end: their exit codes, and their messages on stderr."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from assay.errors import AssayError

EXIT_TRIAL_FAILED = 1
EXIT_USER_ERROR = 2
EXIT_COULD_NOT = 3
EXIT_PAUSED = 4
EXIT_INTERRUPTED = 130
EXIT_UNREAD = 141
"""The shell's exit code of a program that a closed pipe ended."""


def report_lost_output(cause: OSError, instead: str = "") -> int:
    """Print why stdout could not be written, unless its reader just stopped; returns the exit code."""
    if isinstance(cause, BrokenPipeError):
        return EXIT_UNREAD
    print(f"assay: cannot write to stdout: {cause.strerror}{instead}", file=sys.stderr)
    return EXIT_COULD_NOT


def report_error(error: AssayError) -> int:
    """Print the error on stderr; returns the exit code."""
    from assay.errors import UserError
    from assay.redaction import printable

    is_users = isinstance(error, UserError)
    print(printable(str(error) if is_users else f"assay: {error}"), file=sys.stderr)
    return EXIT_USER_ERROR if is_users else EXIT_COULD_NOT
