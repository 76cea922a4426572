"""The token a cluster asks for: where it is found, and that a header can carry it. It is in no message."""

from __future__ import annotations

import os
from pathlib import Path

from assay.errors import UserError

NAMED_BY = "its file is named by RAY_AUTH_TOKEN_PATH"


def find_token(given: str | None) -> str | None:
    """The token that is given, or else the shell's, without the line's end that files and pipes add; None: there is
    none. Raises UserError where it cannot be read, or cannot be sent.

    By Ray's variables. Ray itself looks at them once a process, and says less of what is wrong with them.
    """
    if given is not None:
        return _sendable(given, "token=")
    if held := os.environ.get("RAY_AUTH_TOKEN", "").strip():
        return _sendable(held, "RAY_AUTH_TOKEN")
    path = os.environ.get("RAY_AUTH_TOKEN_PATH")
    if not path and os.environ.get("RAY_AUTH_MODE", "").lower() != "token":
        return None
    file = Path(path or os.path.expanduser("~/.ray/auth_token"))  # noqa: PTH111  # Path raises without a home
    try:
        return _sendable(file.read_text(encoding="utf-8", errors="replace"), str(file))
    except OSError as error:
        raise UserError(f"the cluster's token cannot be read: {error}; {NAMED_BY}") from None


def _sendable(text: str, where: str) -> str:
    """What a library refuses to send it puts into its error, so it never gets to see such a token."""
    token = text.strip()
    if not token:
        raise UserError(f"the cluster's token cannot be read: {where} is empty; {NAMED_BY}")
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise UserError(
            f"the cluster's token cannot be sent: {where} has {len(token)} characters with white space or others that "
            f"are not printable ASCII between them, allowed: one word of printable ASCII; {NAMED_BY}"
        )
    return token
