"""How commands end: their exit codes, and what they say on stderr."""

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
"""What a shell gives a program that a closed pipe ended."""


def tell_lost(cause: OSError, instead: str = "") -> int:
    """Say why stdout took no more, where that is a trouble; returns the exit code."""
    if isinstance(cause, BrokenPipeError):  # whoever read us has enough
        return EXIT_UNREAD
    print(f"assay: cannot write to stdout: {cause.strerror}{instead}", file=sys.stderr)
    return EXIT_COULD_NOT


def tell(error: AssayError) -> int:
    """Say on stderr what is wrong; returns the exit code of a command that ends so."""
    from assay.errors import UserError
    from assay.text import printable

    is_users = isinstance(error, UserError)
    print(printable(str(error) if is_users else f"assay: {error}"), file=sys.stderr)
    return EXIT_USER_ERROR if is_users else EXIT_COULD_NOT
