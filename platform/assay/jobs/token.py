"""The cluster's token: find it, and check that a header can carry it. It is in no message."""

from __future__ import annotations

import os
from pathlib import Path

from assay.errors import UserError

NAMED_BY = "set RAY_AUTH_TOKEN_PATH to the file that contains it"


def find_token(explicit: str | None) -> str | None:
    """The explicit token, or the one in Ray's variables, stripped; None if there is none. Raises UserError if it cannot
    be read or sent.

    Ray itself reads the variables once per process, and its errors are vaguer.
    """
    if explicit is not None:
        return _sendable(explicit, "token=")
    if token := os.environ.get("RAY_AUTH_TOKEN", "").strip():
        return _sendable(token, "RAY_AUTH_TOKEN")
    path = os.environ.get("RAY_AUTH_TOKEN_PATH")
    if not path and os.environ.get("RAY_AUTH_MODE", "").lower() != "token":
        return None
    file = Path(path or os.path.expanduser("~/.ray/auth_token"))  # noqa: PTH111  # Path raises without a home
    try:
        return _sendable(file.read_text(encoding="utf-8", errors="replace"), str(file))
    except OSError as error:
        raise UserError(f"the cluster's token cannot be read: {error}; {NAMED_BY}") from None


def _sendable(text: str, where: str) -> str:
    """Check the token, so that no library has to refuse it: they put it into their errors."""
    token = text.strip()
    if not token:
        raise UserError(f"the cluster's token cannot be read: {where} is empty; {NAMED_BY}")
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise UserError(
            f"the cluster's token cannot be sent: {where} contains {len(token)} characters, some of them spaces or not "
            f"printable ASCII; allowed: one word of printable ASCII; {NAMED_BY}"
        )
    return token
