"""Read columns of tensors from the stored rows of map stages, as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from assay.workload import Result
from imaging.data import Indices


def tensors(table: pa.Table, name: str) -> npt.NDArray[Any]:
    """A column of tensors, (N, …)."""
    return table.column(name).combine_chunks().to_numpy_ndarray()


def column_of(result: Result, name: str) -> npt.NDArray[np.float32]:
    """All rows of a column, (N, D)."""
    return np.concatenate([tensors(table, name) for table in result.batches([name])])


def features_of_rows(result: Result, name: str, rows: Indices) -> npt.NDArray[np.float32]:
    """Some rows (n,), ascending, of a column, (n, D). Reads one shard at a time, up to the last row."""
    found = []
    for table in result.batches([name]):
        ids = table.column("id").to_numpy()
        found.append(tensors(table, name)[np.isin(ids, rows)])
        if ids[-1] >= rows[-1]:
            break
    return np.concatenate(found)
