"""Make foreign text safe to show: hide secrets in URLs, escape control characters of terminals."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path

HIDDEN = "***"
_SCHEME = r"(?<![a-z0-9+.\-])(?:https?:/+|[a-z][a-z0-9+.\-]*:/{1,2})"
"""Also with a missing or, unless it is a path, an extra slash: messages quote mistyped URLs, too."""
_WORD = r"""(?<![^\s'"=(,])"""
_PORT = r"""\d{1,5}(?:[/?#\s'",;:)\]]|$)"""
_CREDENTIALS = [
    re.compile(rf"(?P<start>{before}){secret}", re.IGNORECASE)
    for before, secret in (
        # name:password@ with any characters in the password, even spaces if nothing else fits
        (rf"{_SCHEME}|{_WORD}//", rf"(?![\[*])[^\s/?#:@]*:(?!{_PORT})(?:(?!://)\S)*@"),
        (_SCHEME, rf"(?![\[*])[^\s/?#:@]+:(?!{_PORT})(?=\S)(?:(?!://)[^\n@])*@"),
        # a name alone is a token in HTTP
        ("https?:/+", r"[^\s/?#@'\"*]+@"),
        # name:password@host without a scheme, as proxies are written
        (_WORD, r"[^\s/?#:@'\"=(,]+:[^\s/@'\"]+@(?=[\w.\[])"),
    )
]
_SECRET_NAMES = "pass|pwd|pw|secret|token|key|sig|cred|auth|session|jwt|sas|odbc|cookie|private"
_QUERY = re.compile(
    rf"([?&;#][^\s=&;#?]{{0,64}}?(?:{_SECRET_NAMES})[^\s=&;#?]{{0,64}}=)[^\s&#;]*?"
    r"""(?=['")\]>,.;:]*(?:[\s&#;]|$))""",  # quotes and punctuation around a URL belong to the sentence
    re.IGNORECASE,
)
_WEBHOOK = re.compile(
    r"(https?://(?:hooks\.slack\.com|(?:[\w-]+\.)?discord(?:app)?\.com/api|[\w.-]+\.webhook\.office\.com)/)"
    r"""[^\s'")\]>,;]+""",
    re.IGNORECASE,
)
"""Webhooks whose path is their secret."""
_SECRET_FILES = (
    *(".env", ".env.*", "*.env", ".netrc", ".npmrc", ".pgpass", ".pypirc", ".boto", ".s3cfg", ".git-credentials"),
    *("*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "*.tfvars", "*.tfvars.json", "*.tfstate"),
    *("id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "credentials", "credentials.*", "*_credentials*", "*secret*"),
    *("token", "token.*", "*_token", "*-token", "*.token", "*_token.*", "*-token.*", "kubeconfig", ".htpasswd"),
    *("*password*", "passwd", "*api_key*", "*api-key*", "*apikey*", ".dockercfg"),
)
_SECRET_FOLDERS = (".aws", ".azure", ".docker", ".gnupg", ".kube", ".ssh")
"""Where programs keep credentials, under inconspicuous names."""
_SOURCE_CODE = (".py", ".pyi")
"""Source files may have any name; their contents are checked."""
_AWS_KEY = re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")
# C0 without tab and newline, DEL, C1, marks of writing direction, line separators, surrogates.
_CONTROL = "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff"
_CONTROL_IN_TEXT = re.compile(f"[{_CONTROL}]")
_CONTROL_IN_LINE = re.compile(f"[{_CONTROL}\t\n]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def hide_secrets(text: str) -> str:
    """The text with `***` in place of credentials.

    These are names and passwords before an @, query values with telling names (token, sslpassword, X-Amz-Signature, …),
    the paths of known webhooks, and ids of AWS keys. If the end of a password is ambiguous, more is hidden. Text
    without a secret is unchanged: `sqlite:///path`, `s3://bucket/a@b`, plain paths.
    """
    for pattern in _CREDENTIALS:
        text = pattern.sub(rf"\g<start>{HIDDEN}@", text)
    text = _WEBHOOK.sub(rf"\g<1>{HIDDEN}", text)
    return _AWS_KEY.sub(HIDDEN, _QUERY.sub(rf"\g<1>{HIDDEN}", text))


def printable(text: str, *, is_line: bool = False) -> str:
    r"""The text with terminal control characters escaped, as in `\x1b`.

    Newlines and tabs are kept, unless the text `is_line`, such as a name, which must not forge a line.
    """
    return (_CONTROL_IN_LINE if is_line else _CONTROL_IN_TEXT).sub(_escaped, text)


def is_secret_name(path: Path) -> bool:
    """Whether a file's name, or that of a folder above it, says that it holds credentials."""
    if any(folder in _SECRET_FOLDERS for folder in path.parts[:-1]):
        return True
    is_code = path.suffix in _SOURCE_CODE
    return not is_code and any(fnmatch(path.name.lower(), pattern) for pattern in _SECRET_FILES)


def is_unicode(text: str) -> bool:
    """False for lone surrogates, which stand for bytes that are not UTF-8: no file or JSON can hold them."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return _SHORT.get(match[0]) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")
