"""LMDB databases as LSUN ships them: from a key to an encoded image, without classes."""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from weakref import WeakValueDictionary

import lmdb
import numpy as np
import numpy.typing as npt
from PIL import Image

from adm.config import DataConfig
from adm.data.decode import NoImage, opened
from adm.data.paths import located
from assay.errors import UserError

DATABASE = "data.mdb"


class Lmdb:
    """Every value of a database is an image, in the order of the keys, all of class 0."""

    scattered = True
    labels: npt.NDArray[np.generic] | None = None

    def __init__(self, data: DataConfig) -> None:
        self._path = located(data, f"the folder with the {DATABASE} of an LMDB", folder=True)
        if not (self._path / DATABASE).is_file():
            raise UserError(
                f"data.path {data.path!r} holds no {DATABASE}; data.source lmdb takes the folder that has it"
            )
        self._database = _database(self._path)
        if not self._database.keys:
            raise UserError(f"data.path {data.path!r} is an LMDB without entries")
        self.labels_from = f"{self._path} is an LMDB as LSUN ships"

    def __len__(self) -> int:
        return len(self._database.keys)

    def name(self, index: int) -> str:
        return f"key {self._database.keys[index].decode(errors='backslashreplace')} of {self._path}"

    def open(self, index: int) -> Image.Image:
        try:
            with self._database.environment.begin() as transaction:
                encoded = transaction.get(self._database.keys[index])
        except lmdb.Error as error:
            raise UserError(f"{self.name(index)} cannot be read: {error}") from error
        if encoded is None:
            raise NoImage("the database has lost the key since it was opened")
        return opened(encoded)


class _Database:
    """An open database and its keys."""

    def __init__(self, path: Path) -> None:
        try:
            # Nobody writes: no lock file, so a read-only disk and any number of processes will do.
            self.environment = lmdb.open(str(path), readonly=True, lock=False, readahead=False, create=False)
            with self.environment.begin() as transaction, transaction.cursor() as cursor:
                self.keys: list[bytes] = list(cursor.iternext(keys=True, values=False))
        except lmdb.Error as error:
            raise UserError(f"{path} cannot be read as an LMDB: {error}") from error


_open: WeakValueDictionary[tuple[int, int], _Database] = WeakValueDictionary()
_opening = Lock()


def _database(path: Path) -> _Database:
    """The database at a path. A process may have it open only once, so all its sources share it."""
    status = (path / DATABASE).stat()
    with _opening:
        found = _open.get((status.st_dev, status.st_ino))
        if found is None:
            found = _open[status.st_dev, status.st_ino] = _Database(path)
        return found
