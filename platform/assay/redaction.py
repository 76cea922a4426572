"""Text from elsewhere made fit to be shown: URLs without their secrets, names without what a terminal obeys."""

from __future__ import annotations

import re

HIDDEN = "***"
_SCHEME = r"(?<![a-z0-9+.\-])(?:https?:/+|[a-z][a-z0-9+.\-]*:/{1,2})"
"""Also with a slash too few or, where it is no path, too many: a mistyped URL is told of, too."""
_WORD = r"""(?<![^\s'"=(,])"""
_PORT = r"""\d{1,5}(?:[/?#\s'",;:)\]]|$)"""
_CREDENTIALS = [
    re.compile(rf"(?P<start>{before}){secret}", re.IGNORECASE)
    for before, secret in (
        # name:password@, whatever characters the password has; where there is no other way to read it, spaces too
        (rf"{_SCHEME}|{_WORD}//", rf"(?![\[*])[^\s/?#:@]*:(?!{_PORT})(?:(?!://)\S)*@"),
        (_SCHEME, rf"(?![\[*])[^\s/?#:@]+:(?!{_PORT})(?=\S)(?:(?!://)[^\n@])*@"),
        # a name alone: in HTTP it is a token
        ("https?:/+", r"[^\s/?#@'\"*]+@"),
        # name:password@host without a scheme, as proxies are written
        (_WORD, r"[^\s/?#:@'\"=(,]+:[^\s/@'\"]+@(?=[\w.\[])"),
    )
]
_SECRET_NAMES = "pass|pwd|pw|secret|token|key|sig|cred|auth|session|jwt|sas|odbc|cookie|private"
_QUERY = re.compile(
    rf"([?&;#][^\s=&;#?]{{0,64}}?(?:{_SECRET_NAMES})[^\s=&;#?]{{0,64}}=)[^\s&#;]*?"
    r"""(?=['")\]>,.;:]*(?:[\s&#;]|$))""",  # quotes and punctuation around a URL are the sentence's
    re.IGNORECASE,
)
_AWS_KEY = re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")
# C0 without tab and newline, DEL, C1, marks that turn the direction of writing, line separators, halves of characters.
_OBEYED = "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff"
_OBEYED_IN_TEXT = re.compile(f"[{_OBEYED}]")
_OBEYED_IN_A_LINE = re.compile(f"[{_OBEYED}\t\n]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def hide_secrets(text: str) -> str:
    """A URL, or any text with URLs in it, with `***` for what lets somebody in.

    Names and passwords before an @, values of a query whose names say so (token, sslpassword, X-Amz-Signature, …), and
    ids of AWS keys. Where it is not clear how far a password goes, rather more is hidden. What has no secret is left as
    it is: `sqlite:///path`, `s3://bucket/a@b`, plain paths.
    """
    for pattern in _CREDENTIALS:
        text = pattern.sub(rf"\g<start>{HIDDEN}@", text)
    return _AWS_KEY.sub(HIDDEN, _QUERY.sub(rf"\g<1>{HIDDEN}", text))


def printable(text: str, *, is_line: bool = False) -> str:
    r"""The text with `\x1b` and the like for every character that a terminal obeys instead of showing it.

    Newlines and tabs are kept, unless the text `is_line`, as a name is: it must not forge a line of its own.
    """
    return (_OBEYED_IN_A_LINE if is_line else _OBEYED_IN_TEXT).sub(_escaped, text)


def is_unicode(text: str) -> bool:
    """False for halves of surrogate pairs, which stand for bytes that are no UTF-8: no file or JSON can hold them."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return _SHORT.get(match[0]) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")
