"""Files and records on any filesystem fsspec knows, written so that a crash leaves either nothing or the whole.

A *record* is a JSON document that lists files with their sizes and SHA-256 and carries a checksum of itself. Files are
uploaded first, under a fresh name; the record is written last, in one atomic step. So what has a record is complete,
and what has none does not exist, on a local disk, on NFS and on an object store alike.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec

from assay.errors import StoreError
from assay.store.trouble import cannot_write, has_no_room, reading, writing
from assay.workload import JSON, canonical_json

CHUNK_BYTES = 1 << 20
LEAST_FREE_BYTES = 100e6
"""Of the disk of a local store, before a run begins."""
Report = Callable[[str], None]
"""Where a store says what the user should know."""


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a local file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class FileRecord:
    """One committed file. `path` is relative to the store's root."""

    path: str
    bytes: int
    sha256: str


class Files:
    """A folder on some filesystem, addressed by relative POSIX paths."""

    def __init__(self, url: str) -> None:
        try:
            self.fs, self.root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise StoreError(
                f"cannot open the store {url!r}: {error}; allowed: a folder, or a URL fsspec knows"
            ) from error
        self.url = url
        self.is_local = "file" in (self.fs.protocol if isinstance(self.fs.protocol, tuple) else (self.fs.protocol,))

    def at(self, path: str) -> str:
        return f"{self.root}/{path}" if path else self.root

    def local_path(self, path: str) -> Path:
        """Where a file of a local store is."""
        return Path(self.at(path))

    def probe(self) -> None:
        """Raises StoreError unless a record can be written, read and removed: asked before anything expensive."""
        name = f"probe-{uuid.uuid4().hex}"
        with self.staging():
            self.write_record(name, {})
        self.read_record(name)
        self.remove(name)
        if self.is_local and (free := shutil.disk_usage(self.root).free) < LEAST_FREE_BYTES:
            raise StoreError(
                f"the store {self.url} has {free / 1e6:.1f} MB free, allowed: {LEAST_FREE_BYTES / 1e6:.0f} MB or more; "
                "free some, or name a folder on another disk in ASSAY_STORE"
            )

    # Records

    def write_record(self, path: str, content: Mapping[str, JSON]) -> None:
        body = dict(content)
        body["sha256"] = hashlib.sha256(canonical_json(body).encode()).hexdigest()
        data = (json.dumps(body, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()
        self.write_atomic(path, data)

    def read_record(self, path: str) -> dict[str, Any] | None:
        """The record, or None when there is none. Raises ValueError that says how it is damaged."""
        try:
            with reading(self.url):
                data = self.fs.cat_file(self.at(path))
        except FileNotFoundError:
            return None
        try:
            content = json.loads(data)
            claimed = content.pop("sha256")
        except (ValueError, KeyError, AttributeError, TypeError):
            raise ValueError(f"{path} is not a whole record ({len(data)} bytes)") from None
        if hashlib.sha256(canonical_json(content).encode()).hexdigest() != claimed:
            raise ValueError(f"{path} does not match its own checksum")
        return content

    def write_atomic(self, path: str, data: bytes) -> None:
        with writing(self.url):
            if self.is_local:
                _replace(self.local_path(path), data)
            else:
                self.fs.pipe_file(self.at(path), data)  # one object, one step

    # Files

    def upload(self, source: Path, path: str) -> FileRecord:
        """Move a local file into the store. Its checksum is taken from what was written by the stage."""
        record = FileRecord(path, source.stat().st_size, sha256_of(source))
        with writing(self.url):
            if self.is_local:
                target = self.local_path(path)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.move(source, target)
            else:
                self.fs.put_file(str(source), self.at(path))
        return record

    def upload_folder(self, source: Path, path: str) -> dict[str, FileRecord]:
        files = sorted(p for p in source.rglob("*") if p.is_file())
        return {
            str(PurePosixPath(f.relative_to(source))): self.upload(f, f"{path}/{PurePosixPath(f.relative_to(source))}")
            for f in files
        }

    def problems(self, file: FileRecord, *, checksum: bool = True) -> list[str]:
        """How a file differs from what was committed: [] when it does not."""
        try:
            with reading(self.url):
                size = self.fs.info(self.at(file.path))["size"]
        except FileNotFoundError:
            return [f"{file.path} is missing"]
        if size != file.bytes:
            return [f"{file.path} has {size} bytes, committed were {file.bytes}"]
        if checksum and self._sha256(file.path) != file.sha256:
            return [f"{file.path} does not match its checksum"]
        return []

    def _sha256(self, path: str) -> str:
        if self.is_local:
            return sha256_of(self.local_path(path))
        state = hashlib.sha256()
        with reading(self.url), self.fs.open(self.at(path), "rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                state.update(chunk)
        return state.hexdigest()

    def names(self, path: str) -> list[str]:
        """Names directly under a folder; [] when there is no such folder."""
        try:
            with reading(self.url):
                listed = self.fs.ls(self.at(path), detail=False, refresh=True)
        except FileNotFoundError:
            return []
        return sorted(PurePosixPath(name).name for name in listed if not PurePosixPath(name).name.startswith("."))

    def move(self, source: str, target: str) -> None:
        """What is not there is not moved: another process may have come first."""
        with writing(self.url), suppress(FileNotFoundError):
            if self.is_local:
                self.local_path(target).parent.mkdir(parents=True, exist_ok=True)
                self.fs.mv(self.at(source), self.at(target), recursive=True)
                return
            # Not fs.mv: on an object store it asks for the folder itself, which is no object.
            for name in self.fs.find(self.at(source)):
                self.fs.cp_file(name, self.at(target) + name.removeprefix(self.at(source)))
            self.fs.rm(self.at(source), recursive=True)

    def remove(self, path: str) -> None:
        with writing(self.url):
            while self.fs.exists(self.at(path)):
                try:
                    self.fs.rm(self.at(path), recursive=True)
                    return
                except FileNotFoundError:  # another process removes it, too: what is left of it is looked for again
                    self.fs.invalidate_cache()

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """An empty local folder to write into; on a local store it is on the same disk, so that uploads are renames."""
        parent = None
        try:
            if self.is_local:
                parent = self.local_path("staging")
                parent.mkdir(parents=True, exist_ok=True)
            folder = Path(tempfile.mkdtemp(dir=parent))
        except OSError as error:
            raise cannot_write(self.url, error) from error
        try:
            yield folder
        except OSError as error:
            if self.is_local and has_no_room(error):  # whoever wrote into it, it is the store's disk
                raise cannot_write(self.url, error) from error
            raise
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _replace(target: Path, data: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(target)


def file_records(content: Mapping[str, Any]) -> dict[str, FileRecord]:
    return {name: FileRecord(**entry) for name, entry in content.items()}


def as_json(files: Mapping[str, FileRecord]) -> dict[str, JSON]:
    return {name: asdict(file) for name, file in files.items()}
