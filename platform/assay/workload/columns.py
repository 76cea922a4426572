"""Columns as NumPy arrays, for bodies, and as an Arrow table, for storage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from assay.workload import Batch


def to_numpy(table: pa.Table) -> Batch:
    """Columns as arrays (N, …): fixed-shape tensors keep their shape."""
    out: Batch = {}
    for name in table.column_names:
        column = table.column(name).combine_chunks()
        if isinstance(column.type, pa.FixedShapeTensorType):
            out[name] = column.to_numpy_ndarray()
        else:
            out[name] = column.to_numpy(zero_copy_only=False)
    return out


def to_arrow(batch: Mapping[str, np.ndarray[Any, Any]]) -> pa.Table:
    """Arrays (N, …) as columns; more than one dimension becomes a fixed-shape tensor."""
    return pa.table({name: pa.array(a) if a.ndim == 1 else _tensor_column(a) for name, a in batch.items()})


def _tensor_column(array: np.ndarray[Any, Any]) -> pa.FixedShapeTensorArray:
    # Not from_numpy_ndarray: it derives the order of dimensions from strides, which are ambiguous if a side is 1.
    flat = pa.array(np.ascontiguousarray(array).reshape(-1))
    rows = pa.FixedSizeListArray.from_arrays(flat, int(np.prod(array.shape[1:])))
    return pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(flat.type, array.shape[1:]), rows)
