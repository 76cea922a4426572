"""Files of a store elsewhere, on this machine: each downloaded once, kept by its checksum."""

from __future__ import annotations

import os
import stat
import tempfile
import uuid
from pathlib import Path

from assay.errors import StoreError
from assay.store.io_errors import reading
from assay.store.records import FileRecord, Files, sha256_of

OTHERS = stat.S_IRWXG | stat.S_IRWXO


def local_copy(files: Files, file: FileRecord) -> Path:
    """A local path with the file's content: the file itself, or a download that is kept.

    Raises StoreError where the store cannot be read, or has another content than was committed.
    """
    if files.is_local:
        return files.local_path(file.path)
    target = _cache() / file.sha256
    # Also of what was kept: a disk that was full, or a crash, may have left something else under this name.
    if not target.is_file() or sha256_of(target) != file.sha256:
        _download(files, file, target)
    return target


def _download(files: Files, file: FileRecord, target: Path) -> None:
    temporary = target.with_name(f".{uuid.uuid4().hex}")
    try:
        with reading(files.url):
            files.fs.get_file(files.at(file.path), str(temporary))
        if sha256_of(temporary) != file.sha256:
            raise StoreError(f"cannot read the store {files.url}: {file.path} does not match its checksum")
        temporary.replace(target)
    except FileNotFoundError:
        raise StoreError(f"cannot read the store {files.url}: {file.path} is missing") from None
    finally:
        temporary.unlink(missing_ok=True)


def _cache() -> Path:
    """The folder of this user's copies, in one that every user of the machine may write to: nobody else may have made
    it, nor put anything in it."""
    cache = Path(tempfile.gettempdir()) / f"assay-cache-{os.getuid()}"
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    about = cache.lstat()
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.getuid() or about.st_mode & OTHERS:
        raise StoreError(
            f"copies of the store's files go to {cache}, but got one of user {about.st_uid} with the mode "
            f"{stat.filemode(about.st_mode)}, allowed: a folder of user {os.getuid()} with the mode drwx------. Remove "
            "it, or name another place in TMPDIR"
        )
    return cache
