"""Local copies of files in a remote store: each is downloaded once and cached by its checksum."""

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
    """A local path with the file's content: the file itself, or a cached download.

    Raises StoreError if the store cannot be read, or if the content is not what was committed.
    """
    if files.is_local:
        return files.local_path(file.path)
    target = _cache() / file.sha256
    # Cached files are verified too: a full disk or a crash may have left other content under this name.
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
    """This user's folder of cached files. Every user may write to its parent, so check that nobody else made it."""
    cache = Path(tempfile.gettempdir()) / f"assay-cache-{os.getuid()}"
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    about = cache.lstat()
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.getuid() or about.st_mode & OTHERS:
        raise StoreError(
            f"files of the store are cached in {cache}, which belongs to user {about.st_uid} with mode "
            f"{stat.filemode(about.st_mode)}, allowed: a folder of user {os.getuid()} with mode drwx------. Remove it, "
            "or set TMPDIR to another folder"
        )
    return cache
