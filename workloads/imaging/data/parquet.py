"""Encoded images in a column of parquet files, like the data sets of Hugging Face."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from PIL import Image

from assay.errors import AssayWarning, UserError, did_you_mean
from imaging.config import DataConfig
from imaging.contents import Files
from imaging.data.decode import NoImage, opened
from imaging.data.paths import files_in, located

HELD_BYTES = 512 << 20
"""Most bytes of encoded images that are cached in memory: smaller data sets whole, else the row groups used last."""
SMALL_GROUP_ROWS = 128
"""Rows per group up to which reading a whole group for one image costs little."""


class Parquet:
    """`Stored` images of one file, or of the `*.parquet` files of a folder, sorted by name. Labels are read when it is
    opened, images one row group at a time."""

    def __init__(self, data: DataConfig) -> None:
        self.files = parquet_files(data)
        self._paths = [Path(self.files.root) / name for name in self.files.names]
        self._files = [_opened(file) for file in self._paths]
        self._columns = [_image_column(f, p, data.image_column) for f, p in zip(self._files, self._paths, strict=True)]
        self._groups = [(n, group) for n, file in enumerate(self._files) for group in range(file.num_row_groups)]
        rows = [self._files[n].metadata.row_group(group).num_rows for n, group in self._groups]
        self._ends = np.cumsum(rows, dtype=np.int64)
        self._file_ends = np.cumsum([file.metadata.num_rows for file in self._files], dtype=np.int64)
        if not sum(rows):
            raise UserError(f"data.path {data.path!r} has no rows")
        self.labels, self.labels_from = self._labels(data.label_column)
        self._cache: OrderedDict[int, Any] = OrderedDict()
        self._cached_bytes = 0
        self._lock = Lock()
        num_bytes = sum(map(_column_bytes, self._files, self._columns))
        self.scattered = num_bytes <= HELD_BYTES
        if not self.scattered and sum(rows) / len(rows) > SMALL_GROUP_ROWS:
            warnings.warn(
                f"data.path {data.path!r} has {num_bytes / 1e9:.1f} GB of images in row groups of about "
                f"{sum(rows) // len(rows)}, and training reads a whole group for each image; write it "
                f"with row_group_size up to {SMALL_GROUP_ROWS}, or use data.source folder or lmdb",
                AssayWarning,
                stacklevel=2,
            )

    def __len__(self) -> int:
        return int(self._ends[-1])

    def file_of(self, index: int) -> int:
        return int(np.searchsorted(self._file_ends, index, side="right"))

    def name(self, index: int) -> str:
        number = self.file_of(index)
        before = int(self._file_ends[number - 1]) if number else 0
        return f"row {index - before} of {self._paths[number]}"

    def open(self, index: int) -> Image.Image:
        group = int(np.searchsorted(self._ends, index, side="right"))
        encoded = self._group(group)[index - (int(self._ends[group - 1]) if group else 0)].as_py()
        if encoded is None:
            raise NoImage("the row has no bytes")
        return opened(encoded)

    def _group(self, group: int) -> Any:
        """The encoded images of a row group, from the cache if they are in it."""
        with self._lock:
            if group not in self._cache:
                number, within = self._groups[group]
                self._cache[group] = self._read(number, within)
                self._cached_bytes += self._cache[group].nbytes
                while self._cached_bytes > HELD_BYTES and len(self._cache) > 1:
                    self._cached_bytes -= self._cache.popitem(last=False)[1].nbytes
            self._cache.move_to_end(group)
            return self._cache[group]

    def _read(self, number: int, group: int) -> Any:
        column = self._columns[number]
        try:
            table = self._files[number].read_row_group(group, columns=[column], use_threads=False)
        except (pa.ArrowException, OSError) as error:
            raise UserError(f"row group {group} of {self._paths[number]} cannot be read: {error}") from error
        values = table.column(0)
        return pc.struct_field(values, "bytes") if pa.types.is_struct(values.type) else values

    def _labels(self, column: str | None) -> tuple[npt.NDArray[Any] | None, str]:
        """(labels, a description of their origin for messages)."""
        if column is None:
            return None, "data.label_column is null"
        labels = []
        for file, path in zip(self._files, self._paths, strict=True):
            names = file.schema_arrow.names
            if column not in names:
                near = did_you_mean(column, names)
                return None, f"{path} has no column {column!r} (data.label_column), only {', '.join(names)}{near}"
            try:
                values = file.read(columns=[column], use_threads=False).column(0)
            except (pa.ArrowException, OSError) as error:
                raise UserError(f"column {column!r} of {path} cannot be read: {error}") from error
            where = f"column {column!r} of {path}"
            if not pa.types.is_integer(values.type):
                raise UserError(
                    f"{where}: labels must be integers from 0; got {values.type}; name another data.label_column, "
                    "or set it to null for a model without classes"
                )
            if values.null_count:
                raise UserError(f"{where}: {values.null_count} rows have no label; label or remove them")
            labels.append(values.to_numpy())
        origin = self._paths[0].parent if len(labels) > 1 else self._paths[0]
        return np.concatenate(labels), f"column {column!r} of {origin}"


def parquet_files(data: DataConfig) -> Files:
    """The file, or the files of a folder, whose names only determine their order. Raises UserError if it has none."""
    path = located(data, "a parquet file, or a folder of them", folder=True, file=True)
    if not path.is_dir():
        return Files(str(path.parent), [path.name])
    names = files_in(path, ".parquet")
    if not names:
        raise UserError(f"data.path {data.path!r} contains no *.parquet")
    return Files(str(path), names)


def _opened(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path, memory_map=True)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path} cannot be read as a parquet file: {error}") from error


def _image_column(file: pq.ParquetFile, path: Path, column: str) -> str:
    """Path of the column with the encoded bytes: the column itself, or the field "bytes" of a struct."""
    schema = file.schema_arrow
    if column not in schema.names:
        near = did_you_mean(column, schema.names)
        raise UserError(f"{path} has no column {column!r} (data.image_column), only {', '.join(schema.names)}{near}")
    kind = schema.field(column).type
    if pa.types.is_struct(kind):
        fields = {kind.field(number).name: kind.field(number).type for number in range(kind.num_fields)}
        if "bytes" in fields and _is_bytes(fields["bytes"]):
            return f"{column}.bytes"
    elif _is_bytes(kind):
        return column
    raise UserError(
        f'column {column!r} of {path} must be encoded images, binary or a struct with a binary field "bytes"; '
        f"got {kind}"
    )


def _is_bytes(kind: Any) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _column_bytes(file: pq.ParquetFile, column: str) -> int:
    """Approximate size of a column in memory."""
    groups = (file.metadata.row_group(number) for number in range(file.num_row_groups))
    chunks = (group.column(number) for group in groups for number in range(group.num_columns))
    return sum(chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema == column)
