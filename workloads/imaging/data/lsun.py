"""LMDB databases as LSUN distributes them: each value is an encoded image; there are no classes."""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from weakref import WeakValueDictionary

import lmdb
import numpy as np
import numpy.typing as npt
from PIL import Image

from assay.errors import UserError
from imaging.config import DataConfig
from imaging.contents import Files
from imaging.data.decode import NoImage, opened
from imaging.data.paths import located
from imaging.paths import is_there, status_of

DATABASE = "data.mdb"


class Lmdb:
    """`Stored` images of an LMDB, in the order of their keys. All are of class 0."""

    scattered = True
    labels: npt.NDArray[np.generic] | None = None

    def __init__(self, data: DataConfig) -> None:
        self.files = lmdb_files(data)
        self._path = Path(self.files.root)
        self._database = _database(self._path)
        if not self._database.keys:
            raise UserError(f"data.path {data.path!r} is an LMDB without entries")
        self.labels_from = f"{self._path} is an LMDB, which has no labels"

    def __len__(self) -> int:
        return len(self._database.keys)

    def name(self, index: int) -> str:
        return f"key {self._database.keys[index].decode(errors='backslashreplace')} of {self._path}"

    def file_of(self, index: int) -> int:
        return 0

    def open(self, index: int) -> Image.Image:
        try:
            with self._database.environment.begin() as transaction:
                encoded = transaction.get(self._database.keys[index])
        except lmdb.Error as error:
            raise UserError(f"{self.name(index)} cannot be read: {error}") from error
        if encoded is None:
            raise NoImage("its key was deleted after the database was opened")
        return opened(encoded)


def lmdb_files(data: DataConfig) -> Files:
    """The database's file, without its lock file. Raises UserError if there is none."""
    path = located(data, f"the folder with the {DATABASE} of an LMDB", folder=True)
    if not is_there(path / DATABASE):
        raise UserError(f"data.path {data.path!r} contains no {DATABASE}; data.source lmdb takes the folder that does")
    return Files(str(path), [DATABASE])


class _Database:
    """An open database, and its keys when its file had the size and modification time `written`."""

    def __init__(self, environment: lmdb.Environment, written: tuple[int, int]) -> None:
        self.environment, self.written = environment, written
        expected = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
        if written[0] < expected:  # reading beyond the end of a memory-mapped file would crash the process
            raise UserError(
                f"{environment.path()} cannot be read as an LMDB: its {DATABASE} is truncated, with {written[0]:,} of "
                f"{expected:,} bytes, as after an interrupted copy; copy it again"
            )
        with environment.begin() as transaction, transaction.cursor() as cursor:
            self.keys: list[bytes] = list(cursor.iternext(keys=True, values=False))


_open: WeakValueDictionary[tuple[int, int], _Database] = WeakValueDictionary()
_opening = Lock()


def _database(path: Path) -> _Database:
    """The database at a path. A process may open it only once, so all sources share it; if the file was written to
    since, its keys are read again. Raises UserError if it cannot be read."""
    status = status_of(path / DATABASE)
    file, written = (status.st_dev, status.st_ino), (status.st_size, status.st_mtime_ns)
    if not status.st_size:
        raise UserError(f"{path} cannot be read as an LMDB: its {DATABASE} is empty; copy it again")
    try:
        with _opening:
            database = _open.get(file)
            if database is None:
                # Without a lock file, which read-only disks do not allow and readers alone do not need.
                environment = lmdb.open(str(path), readonly=True, lock=False, readahead=False, create=False)
                database = _open[file] = _Database(environment, written)
            elif database.written != written:
                database = _open[file] = _Database(database.environment, written)
            return database
    except lmdb.Error as error:
        raise UserError(f"{path} cannot be read as an LMDB: {error}") from error
