"""What lies in a folder of the store, whether a record lists it or not: sizes and times of change."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from assay.store.io_errors import reading
from assay.store.records import Files

TIMES = ("mtime", "LastModified", "last_modified", "modificationTime", "updated", "created")
"""Fields of fsspec's filesystems with a file's time of change: local, S3, Azure, HDFS, GCS, memory."""


@dataclass
class Tree:
    """All files below a path."""

    bytes: int = 0
    newest: float = -math.inf
    """The latest time of change, in Unix seconds; infinite if the filesystem does not say."""
    files: list[str] = field(default_factory=list)
    """Paths relative to the store's root."""

    def add(self, path: str, num_bytes: int, changed: float) -> None:
        self.bytes += num_bytes
        self.newest = max(self.newest, changed)
        self.files.append(path)


def trees(files: Files, parent: str) -> dict[str, Tree]:
    """Name → what is below it, for everything in a folder; {} if there is no such folder. Lists the folder once."""
    found = {name: Tree() for name in files.names(parent)}
    with reading(files.url):
        files.fs.invalidate_cache()
        listed: Mapping[str, Mapping[str, Any]] = files.fs.find(files.at(parent), detail=True) if found else {}
    root = files.at("").rstrip("/") + "/"
    for full, about in listed.items():
        path = full.removeprefix(root)
        name = path.removeprefix(f"{parent}/").split("/")[0]
        if name in found:
            found[name].add(path, int(about.get("size") or 0), _changed(about))
    return found


def bytes_in(folder: Path) -> int:
    """The size of all files in a local folder; those that are being removed do not count."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                total += (Path(parent) / name).lstat().st_size
    return total


def _changed(about: Mapping[str, Any]) -> float:
    value = next((about[name] for name in TIMES if about.get(name) is not None), math.inf)
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return value.timestamp() if isinstance(value, datetime) else float(value)
