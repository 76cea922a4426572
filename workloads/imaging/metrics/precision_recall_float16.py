"""Precision and recall with the rounding of the reference evaluator, for comparison with its figures only.

That evaluator computes |u|² − 2 u·v + |v|² in float16, and in float32 if the result is not finite. The error matters:
a precision of .359 became .374. Products are accumulated in float32 and rounded once, as on a GPU. Whether a tile
overflows depends on its size, which is 10,000 × 10,000 there, so results can differ for features with norms near 256.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from imaging.metrics.feature_arrays import FloatArray, row_blocks
from imaging.metrics.neighbours import tile_shape

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def hits_in_float16(
    reference: FloatArray, samples: FloatArray, k: int, *, max_bytes: int, device: str
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which references (N,) lie in a sample's ball, and which samples (M,) in a reference's."""
    import torch

    first = torch.from_numpy(reference.astype(np.float32)).to(device)
    second = torch.from_numpy(samples.astype(np.float32)).to(device)
    first_radii, second_radii = _squared_radii(first, k, max_bytes), _squared_radii(second, k, max_bytes)
    first_hits = torch.zeros(len(first), dtype=torch.bool, device=device)
    second_hits = torch.zeros(len(second), dtype=torch.bool, device=device)
    num_rows, num_columns = tile_shape(len(second), max_bytes)
    for rows in row_blocks(len(first), num_rows):
        for columns in row_blocks(len(second), num_columns):
            tile = rounded_squared_distances(first[rows], second[columns])
            first_hits[rows] |= (tile <= second_radii[columns]).any(dim=1)
            second_hits[columns] |= (tile <= first_radii[rows, None]).any(dim=0)
    return first_hits.cpu().numpy(), second_hits.cpu().numpy()


def rounded_squared_distances(first: Tensor, second: Tensor) -> Tensor:
    """|u|² − 2 u·v + |v|², (P, D) and (Q, D) → (P, Q): rounded to float16, or float32 if that is not finite."""
    import torch

    halves = _expanded(first.half().float(), second.half().float(), torch.float16)
    return halves if bool(torch.isfinite(halves).all()) else _expanded(first, second, torch.float32)


def _expanded(u: Tensor, v: Tensor, dtype: torch.dtype) -> Tensor:
    u_norms, v_norms = u.square().sum(dim=1).to(dtype), v.square().sum(dim=1).to(dtype)
    return (u_norms[:, None] - 2 * (u @ v.T).to(dtype) + v_norms).clamp(min=0).float()


def _squared_radii(features: Tensor, k: int, max_bytes: int) -> Tensor:
    """The (k + 1)-th smallest squared distance (N,) of each row to all rows, including itself."""
    import torch

    radii = torch.empty(len(features), device=features.device)
    num_rows, num_columns = tile_shape(len(features), max_bytes)
    for rows in row_blocks(len(features), num_rows):
        smallest = None
        for columns in row_blocks(len(features), num_columns):
            tile = rounded_squared_distances(features[rows], features[columns])
            tile = tile if smallest is None else torch.cat([smallest, tile], dim=1)
            smallest = tile.topk(min(k + 1, tile.shape[1]), dim=1, largest=False).values
        assert smallest is not None
        radii[rows] = smallest[:, -1]
    return radii
