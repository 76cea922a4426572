"""What is at a data.path, in a few words that change when it does: part of a stage's key."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from adm.data.paths import files_below
from assay.workload import digest

END_BYTES = 64 << 10
"""How much of a large file's beginning and end is looked at."""


def listing(source: str, path: str) -> str | None:
    """A digest of the names and sizes of the files a source reads; None where nothing is to be seen from here.

    Of an npz, parquet or LMDB file the first and last 64 KiB count as well: there its directory is, with checksums
    (npz), the sizes of all chunks (parquet) or the number of the last change (LMDB). So another content of the same
    size is told, without reading the gigabytes between.
    """
    root = Path(path).expanduser()
    if not root.exists():
        return None
    return digest(sorted(_folder(root) if source == "folder" else _files(source, root)))


def _folder(root: Path) -> Iterator[list[str | int]]:
    """A million files: their names and sizes are what is cheap."""
    for path in files_below(root):
        file = root / path
        if file.is_file():
            yield [path, file.stat().st_size]


def _files(source: str, root: Path) -> Iterator[list[str | int]]:
    pattern = {"npz": "*.npz", "parquet": "*.parquet", "lmdb": "data.mdb"}[source]
    for file in [root] if root.is_file() else root.glob(pattern):
        size = file.stat().st_size
        with file.open("rb") as opened:
            ends = opened.read(END_BYTES)
            opened.seek(max(0, size - END_BYTES))
            ends += opened.read()
        yield ["" if file == root else file.name, size, hashlib.sha256(ends).hexdigest()]
