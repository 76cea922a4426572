"""Files and records on any filesystem that fsspec knows, written so that a crash leaves either nothing or the whole.

A *record* is a JSON document that lists files with their sizes and SHA-256 and carries a checksum of itself. Files are
uploaded first, under a fresh name; the record is written last, atomically. So whatever has a record is complete, and
whatever has none does not exist, on a local disk, on NFS and on an object store alike.

`Damage` means that one key's files are unreadable or altered. A StoreError means that the store is unreachable.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from assay.errors import StoreError
from assay.redaction import hide_secrets
from assay.store.damage import Damage, blame, check_file, check_folder
from assay.store.io_errors import cannot_read, cannot_write, full_disk_reported, reading, writing
from assay.store.schema import FileEntry
from assay.store.scratch import FETCHED, STAGING, is_abandoned, remove_leftovers, scratch
from assay.store.url import open_url, resolve
from assay.text import first_line
from assay.workload import JSON, canonical_json

CHUNK_BYTES = 1 << 20
LEAST_FREE_BYTES = 100e6
"""Free disk space that a local store needs before a run starts."""
Reporter = Callable[[str], None]
"""Called with messages for the user."""
M = TypeVar("M", bound=BaseModel)


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
    """A folder on some filesystem, addressed by relative POSIX paths.

    `report` is called with damage, once per path. With `heals`, damaged files are set aside; otherwise they stay.
    """

    def __init__(self, url: str, report: Reporter | None = None, *, heals: bool = True, origin: str = "") -> None:
        """`origin`: the run's origin, which what is written names; empty for commands that compute nothing."""
        self.url = resolve(url)
        self.origin = origin
        self.fs, self.root = open_url(self.url)
        self.heals = heals
        self._tell = report
        self._told: set[str] = set()
        self.is_local = "file" in (self.fs.protocol if isinstance(self.fs.protocol, tuple) else (self.fs.protocol,))

    def at(self, path: str) -> str:
        return f"{self.root}/{path}" if path else self.root

    def local_path(self, path: str) -> Path:
        """The path of a file in a local store."""
        return Path(self.at(path))

    def probe(self) -> None:
        """Raises StoreError unless a record can be written, read and removed. Called before anything expensive."""
        name = f"probe-{uuid.uuid4().hex}"
        for prefix in ("",) if self.is_local else (STAGING, FETCHED):
            remove_leftovers(self._staged()[0], prefix)
        with self.staging():
            self.write_record(name, {})
        try:
            self.read_record(name)
        except Damage as damage:
            raise cannot_read(self.url, str(damage)) from damage
        if not self.is_local and self.create_record(name, {}):
            self.tell_once(
                "probe",
                f"{self.url} cannot refuse to overwrite a file: runs that use it at the same time may compute the same "
                "stages, and keep the first result; on S3, s3fs 2024.12 or later can",
            )
        self.remove(name)
        if self.is_local and (free := shutil.disk_usage(self.root).free) < LEAST_FREE_BYTES:
            raise StoreError(
                f"the store {self.url} has {free / 1e6:.1f} MB free, allowed: {LEAST_FREE_BYTES / 1e6:.0f} MB or more; "
                "free some space, or set ASSAY_STORE to a folder on another disk"
            )

    # Records

    def write_record(self, path: str, content: Mapping[str, JSON]) -> None:
        """The record includes its own path, so that a moved one is not taken for the record of another key."""
        self.write_atomic(path, _encoded(path, content))

    def create_record(self, path: str, content: Mapping[str, JSON], *, is_lasting: bool = True) -> bool:
        """Write a record unless there is one; returns whether it did. One that is not lasting is written in a tenth of
        the time, but may be damaged when the power fails.

        Of several that try at once, exactly one does: by a link on a disk, by a conditional write on an object store.
        Where the filesystem has neither (see `probe`), two that try within the same moment may both succeed.
        """
        folder, _, name = path.rpartition("/")
        data = _encoded(path, content)
        if self.is_local:
            draft = f"{folder}/.{uuid.uuid4().hex}"
            with writing(self.url):
                self._put(draft, lambda target: _replace(target, data) if is_lasting else target.write_bytes(data))
            try:
                os.link(self.local_path(draft), self.local_path(path))
                return True
            except FileExistsError:
                return False
            except OSError:
                pass  # a filesystem without links
            finally:
                self.remove(draft)
            if name in self.names(folder):
                return False
            self.write_atomic(path, data)
            return True
        with writing(self.url):
            return self._create_object(path, data)

    def _create_object(self, path: str, data: bytes) -> bool:
        """By If-None-Match or the like. Filesystems differ in how they say that there is an object already, and some
        refuse both of two that write at once: whoever finds nothing there tries again."""
        try:
            self.fs.pipe_file(self.at(path), data, mode="create")
            return True
        except FileExistsError:
            return False
        except Exception:
            if self._is_there(path):
                return False
        try:
            self.fs.pipe_file(self.at(path), data, mode="create")
            return True
        except Exception:
            if self._is_there(path):
                return False
            raise

    def _is_there(self, path: str) -> bool:
        """Read, since lists of objects may be remembered."""
        try:
            self.fs.cat_file(self.at(path))
        except FileNotFoundError:
            return False
        return True

    def read_record(self, path: str) -> dict[str, Any] | None:
        """The content of a record, unvalidated, or None if there is none. Raises Damage."""
        try:
            with self._looking(path):
                data = self.fs.cat_file(self.at(path))
        except FileNotFoundError:
            return None
        try:
            content = json.loads(data)
            claimed = content.pop("sha256")
            actual = hashlib.sha256(canonical_json(content).encode()).hexdigest()
        except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
            raise Damage(path, f"is truncated or not a record ({len(data)} bytes)") from None
        if actual != claimed:
            raise Damage(path, "does not match its own checksum")
        if (written_at := content.pop("at", path)) != path:  # absent in older stores
            raise Damage(path, f"was written as {written_at} and moved here")
        return content

    def write_atomic(self, path: str, data: bytes) -> None:
        with writing(self.url):
            if self.is_local:
                self._put(path, lambda target: _replace(target, data))
            else:
                self.fs.pipe_file(self.at(path), data)  # objects are written atomically

    # Files

    def upload(self, source: Path, path: str) -> FileRecord:
        """Move a local file into the store. Its checksum is taken from the local file."""
        record = FileRecord(path, source.stat().st_size, sha256_of(source))
        with writing(self.url):
            if self.is_local:
                self._put(path, lambda target: shutil.move(source, target))
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
        """How a file differs from what was committed; [] if it does not."""
        try:
            with self._looking(file.path):
                size = self.fs.info(self.at(file.path))["size"]
            if size != file.bytes:
                return [f"{file.path} has {size} bytes instead of {file.bytes}"]
            if checksum and self._sha256(file.path) != file.sha256:
                return [f"{file.path} does not match its checksum"]
        except FileNotFoundError:
            return [f"{file.path} is missing"]
        except Damage as damage:
            return [str(damage)]
        return []

    def _sha256(self, path: str) -> str:
        with self._looking(path):
            if self.is_local:
                return sha256_of(self.local_path(path))
            state = hashlib.sha256()
            with self.fs.open(self.at(path), "rb") as file:
                while chunk := file.read(CHUNK_BYTES):
                    state.update(chunk)
            return state.hexdigest()

    def names(self, path: str) -> list[str]:
        """Names directly under a folder; [] if there is no such folder. Raises Damage if it is not a folder."""
        try:
            with self._looking(path, is_folder=True):
                listed = self.fs.ls(self.at(path), detail=False, refresh=True)
        except FileNotFoundError:
            return []
        return sorted(PurePosixPath(name).name for name in listed if not PurePosixPath(name).name.startswith("."))

    @contextmanager
    def _looking(self, path: str, *, is_folder: bool = False) -> Iterator[None]:
        """Raises Damage for errors of one path, StoreError for errors of the store.

        A missing path is neither: FileNotFoundError passes through.
        """
        try:
            if self.is_local:
                (check_folder if is_folder else check_file)(self.local_path(path))
            yield
        except Exception as error:
            damage = self._blame(path, error)
            if damage is not None and damage.is_of_the_store:
                raise cannot_read(self.url, str(damage)) from error
            if damage is not None:
                raise damage from error
            with reading(self.url):
                raise

    def _blame(self, path: str, error: Exception) -> Damage | None:
        return blame(self.local_path(""), path, error) if self.is_local else None

    def _put(self, path: str, write: Callable[[Path], object]) -> None:
        """Write a local file, after setting aside whatever is in the way."""
        target = self.local_path(path)
        while True:
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                write(target)
                return
            except OSError as error:
                damage = self._blame(path, error)
                if damage is None or damage.is_of_the_store or not self.heals or not self.set_aside([damage.path]):
                    raise
                self._report(f"{damage}; set aside to make way")

    # Damaged or unneeded files

    def discard(self, path: str, message: str, beside: Sequence[str] = (), then: str = "") -> None:
        """Report damage, and with `heals` set the path aside with what is `beside` it.

        If another process sets it aside first, that process reports it.
        """
        if not self.heals:
            self.tell_once(path, f"{message}; left out, see: assay doctor")
            return
        try:
            where = self.set_aside([path, *beside])
        except StoreError as error:
            self.tell_once(path, f"{message}; left out, since it cannot be set aside: {error}")
            return
        if where is not None:
            self._report(f"{message}; set aside in {where}{then and f', {then}'}")

    def tell_once(self, path: str, message: str) -> None:
        if path not in self._told:
            self._told.add(path)
            self._report(message)

    def _report(self, message: str) -> None:
        if self._tell is not None:
            self._tell(hide_secrets(message))

    def set_aside(self, paths: Sequence[str]) -> str | None:
        """Move paths to a new folder and return it; None if none of them exists any more. Nothing is reported."""
        parts = PurePosixPath(paths[0]).parts
        folder = f"set-aside/{parts[:2][-1][:64]}-{uuid.uuid4().hex[:8]}"  # of results/<key>/… or progress/<lineage>/…
        moved = [self.move(path, f"{folder}/{'/'.join(PurePosixPath(path).parts[2:] or parts[-1:])}") for path in paths]
        return self.at(folder) if any(moved) else None

    def move(self, source: str, target: str) -> bool:
        """Whether it existed to be moved: another process may have been first."""
        with writing(self.url):
            if self.is_local:
                return _rename(self.local_path(source), self.local_path(target))
            # Not fs.mv: on an object store it looks up the folder itself, which is not an object.
            try:
                paths = self.fs.find(self.at(source))
                for name in paths:
                    self.fs.cp_file(name, self.at(target) + name.removeprefix(self.at(source)))
                if paths:
                    self.fs.rm(self.at(source), recursive=True)
            except FileNotFoundError:
                return False
            return bool(paths)

    def remove(self, path: str) -> None:
        with writing(self.url):
            while self.fs.exists(self.at(path)):
                try:
                    self.fs.rm(self.at(path), recursive=True)
                    return
                except FileNotFoundError:  # another process is removing it too: try again with what is left
                    self.fs.invalidate_cache()
                except OSError as error:
                    damage = self._blame(path, error)
                    if damage is None:
                        raise
                    self.discard(path, f"{path} cannot be removed: {error.strerror}")
                    return

    def is_abandoned(self, path: str) -> bool:
        """Whether nobody can still be using a path without a record. Only a disk says when it changed."""
        return self.is_local and is_abandoned(self.local_path(path))

    def remove_leftovers(self, path: str, named: Set[str]) -> None:
        """Remove the remains of interrupted uploads from a folder; `named` are the entries that records list."""
        if not self.is_local:
            return  # object stores keep no modification time of a folder
        for name in self.names(path):
            if name not in named and not name.endswith(".json") and self.is_abandoned(f"{path}/{name}"):
                self.remove(f"{path}/{name}")

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """An empty local folder to write to; for a local store on the same disk, so that uploads are renames."""
        parent, what = self._staged()
        with ExitStack() as stack:
            with full_disk_reported(what, parent):
                try:
                    parent.mkdir(parents=True, exist_ok=True)
                    folder = stack.enter_context(scratch(parent, STAGING))
                except OSError as error:
                    if self.is_local:
                        raise cannot_write(self.url, error) from error
                    raise StoreError(
                        f"cannot write to {what}: {first_line(error)}; set TMPDIR to another folder"
                    ) from error
            with full_disk_reported(what, folder):  # while the caller writes to it
                yield folder

    def _staged(self) -> tuple[Path, str]:
        """The parent of staging folders, and its name in messages."""
        if self.is_local:
            return self.local_path("staging"), f"the store {self.url}"
        parent = Path(tempfile.gettempdir())
        return parent, f"the folder for temporary files {parent}"


def _rename(source: Path, target: Path) -> bool:
    if not os.path.lexists(source):
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.rename(target)
    except FileNotFoundError:
        return False
    except PermissionError:
        if source.is_symlink() or not source.is_dir():
            raise
        source.chmod(0o700)  # a folder without write permission cannot be moved either
        source.rename(target)
    return True


def _replace(target: Path, data: bytes) -> None:
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def _encoded(path: str, content: Mapping[str, JSON]) -> bytes:
    body = {**content, "at": path}
    body["sha256"] = hashlib.sha256(canonical_json(body).encode()).hexdigest()
    return (json.dumps(body, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()


def typed(path: str, kind: type[M], content: Mapping[str, Any]) -> M:
    """The content of a record, validated. Raises Damage."""
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise Damage(path, f"is not a valid record: {where and f'{where}: '}{first['msg']}") from error


def file_record(entry: FileEntry) -> FileRecord:
    return FileRecord(entry.path, entry.bytes, entry.sha256)


def file_records(entries: Mapping[str, FileEntry]) -> dict[str, FileRecord]:
    return {name: file_record(entry) for name, entry in entries.items()}


def as_json(files: Mapping[str, FileRecord]) -> dict[str, JSON]:
    return {name: asdict(file) for name, file in files.items()}
