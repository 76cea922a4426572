"""Which URLs a store may have, and the filesystem behind each."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import fsspec
from fsspec.implementations.local import LocalFileSystem

from assay.errors import StoreError
from assay.text import first_line

SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
FOLDER = ("file", "local")
STORES = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "hdfs", "memory")
"""Filesystems that write a file whole or not at all, and that many machines may write to at once."""
ALLOWED = (
    "allowed: a folder, or the URL of an object store that fsspec knows: s3://bucket/folder, gs://…, abfs://…, hdfs://…"
)


def refusal(url: str) -> str | None:
    """Why a store cannot be at this URL or folder, as a phrase; None if it can."""
    if "\0" in url or "\n" in url:
        return "it has a character that folder names cannot have"
    match = SCHEME.fullmatch(url)
    if match is None:
        part = re.match("([A-Za-z][A-Za-z0-9+.-]*):(?!:)", url)
        is_meant = part is not None and part[1].lower() in fsspec.available_protocols() and not url.startswith("file:/")
        return f"a URL starts with {part[1]}://" if part is not None and is_meant else None
    scheme, rest = match[1].lower(), match[2]
    if scheme in FOLDER:
        return None if rest.startswith("/") else "the URL of a folder has three slashes: file:///shared/assay"
    if scheme not in STORES:
        known = scheme in fsspec.available_protocols()
        return f"{scheme}:// is not an object store" if known else f"{scheme}:// is an unknown scheme"
    return None if rest.strip("/") else "it names no bucket"


def resolve(url: str) -> str:
    """The absolute path of a folder; a URL as it is. Raises StoreError for anything else."""
    if (why := refusal(url)) is not None:
        raise _refused(url, why)
    match = SCHEME.fullmatch(url)
    if match is not None and match[1].lower() not in FOLDER:
        return url.rstrip("/")
    if match is not None or url.startswith("file:/"):
        return str(Path(unquote(match[2] if match is not None else url.removeprefix("file:"))))
    folder = os.path.expanduser(url)  # noqa: PTH111 - Path.expanduser raises RuntimeError where there is no such user
    if folder.startswith("~"):
        raise _refused(url, "there is no such user, or no HOME")
    return str(Path(folder).absolute())


def open_url(url: str) -> tuple[Any, str]:
    """The filesystem of a resolved URL, and the store's root in it. Raises StoreError."""
    if SCHEME.fullmatch(url) is None:  # not url_to_fs: to fsspec "::" in a folder's name means something else
        return LocalFileSystem(), url
    try:
        fs, root = fsspec.core.url_to_fs(url)
    except Exception as error:  # each filesystem raises its own
        raise _refused(url, first_line(error)) from error
    return fs, root.rstrip("/")


def _refused(url: str, why: str) -> StoreError:
    return StoreError(f"cannot open the store {url!r}: {why}; {ALLOWED}")
