"""What a store's URL may be, and the filesystem behind it."""

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
"""Whose files are there whole or not at all, and that many machines may write to at once."""
ALLOWED = (
    "allowed: a folder, or a URL fsspec knows of a store of objects: s3://bucket/folder, gs://…, abfs://…, hdfs://…"
)


def refusal(url: str) -> str | None:
    """Why there can be no store at a URL or in a folder, in words; None where there can be."""
    if "\0" in url or "\n" in url:
        return "it has a character that no folder's name has"
    whole = SCHEME.fullmatch(url)
    if whole is None:
        half = re.match("([A-Za-z][A-Za-z0-9+.-]*):(?!:)", url)
        is_meant = half is not None and half[1].lower() in fsspec.available_protocols() and not url.startswith("file:/")
        return f"a URL begins with {half[1]}://" if half is not None and is_meant else None
    scheme, rest = whole[1].lower(), whole[2]
    if scheme in FOLDER:
        return None if rest.startswith("/") else "a folder's URL has three slashes: file:///shared/assay"
    if scheme not in STORES:
        known = scheme in fsspec.available_protocols()
        return f"{scheme}:// is no store of objects" if known else f"{scheme}:// is not known"
    return None if rest.strip("/") else "it names no bucket"


def resolve(url: str) -> str:
    """A folder's whole path, from where one stands; a URL as it is. Raises StoreError for what can be neither."""
    if (why := refusal(url)) is not None:
        raise _refused(url, why)
    whole = SCHEME.fullmatch(url)
    if whole is not None and whole[1].lower() not in FOLDER:
        return url.rstrip("/")
    if whole is not None or url.startswith("file:/"):
        return str(Path(unquote(whole[2] if whole is not None else url.removeprefix("file:"))))
    folder = os.path.expanduser(url)  # noqa: PTH111 - Path.expanduser raises RuntimeError where there is no such user
    if folder.startswith("~"):
        raise _refused(url, "there is no such user, or no HOME")
    return str(Path(folder).absolute())


def open_url(url: str) -> tuple[Any, str]:
    """The filesystem of a URL that was resolved, and the store's root in it. Raises StoreError."""
    if SCHEME.fullmatch(url) is None:  # not url_to_fs: to fsspec "::" in a folder's name means something else
        return LocalFileSystem(), url
    try:
        fs, root = fsspec.core.url_to_fs(url)
    except Exception as error:  # each filesystem raises its own
        raise _refused(url, first_line(error)) from error
    return fs, root.rstrip("/")


def _refused(url: str, why: str) -> StoreError:
    return StoreError(f"cannot open the store {url!r}: {why}; {ALLOWED}")
