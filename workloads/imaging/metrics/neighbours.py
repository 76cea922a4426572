"""Exact nearest neighbours among features, at about the cost of a matrix product of low precision.

|a − b|² = |a|² + |b|² − 2 a·b needs one matrix product, but suffers from cancellation: in float32 its error is relative
to |a|² + |b|², not to |a − b|². So the product is used only as a rigorous bound,

    |a − b|² ≥ (1 − ε)(|a|² + |b|²) − 2 a·b,   and ≤ with 1 + ε,

where ε follows from the rounding error of a dot product of D terms (Higham, "Accuracy and Stability of Numerical
Algorithms", section 3.1). Where the bound is not decisive, a product of more precision is computed, or Σ(a − b)² in
float64. Features are centred first, which does not change distances and makes the norms, and so the error, small.
CPUs with bfloat16 instructions begin with a bfloat16 product, which takes them half the time of a float32 one.

Legend: N queries, M references, D features; all distances here are Euclidean, in units of the features.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from imaging.metrics.feature_arrays import (
    FeatureError,
    Float64Array,
    FloatArray,
    checked_features,
    refuse_different_dims,
    row_blocks,
)

if TYPE_CHECKING:
    import torch
    from torch import Tensor

DEFAULT_MAX_BYTES = 1 << 30
"""Working memory of the blocked distance computations, beyond the features themselves."""

_SPARE_CANDIDATES = 8
_LEAST_CERTAIN = 0.5
"""Share of rows below which a coarse product is given up for a finer one."""
_CACHE_BYTES = 1 << 22
UNDERFLOW = 1e-30


class Neighbours(NamedTuple):
    """Row i: the k nearest references of query i, nearest first."""

    indices: npt.NDArray[np.int64]  # (N, k)
    distances: Float64Array  # (N, k)


def nearest_neighbours(
    queries: npt.ArrayLike,
    references: npt.ArrayLike,
    k: int = 3,
    *,
    max_bytes: int = DEFAULT_MAX_BYTES,
    device: str = "cpu",
) -> Neighbours:
    """The k nearest references (M, D) of every query (N, D), as in figure 7 for Inception's pool features.

    Distances are computed in float64. The order of references at equal distance is not specified. `max_bytes` bounds
    the working memory, on the device and off it; it does not change the result.

    Raises:
        FeatureError: wrong shape, different D, NaN or infinity, or k not between 1 and M.
    """
    query_rows, reference_rows = checked_features(queries, "queries"), checked_features(references, "references")
    refuse_different_dims(reference_rows.shape[1], query_rows.shape[1])
    if not 1 <= k <= len(reference_rows):
        raise FeatureError(f"k must be between 1 and the number of references, {len(reference_rows)}; got {k}")
    import torch

    indices = np.empty((len(query_rows), k), dtype=np.int64)
    squared = np.empty((len(query_rows), k), dtype=np.float64)
    undecided, rows = np.arange(len(query_rows)), query_rows
    for dtype in (*screening_dtypes(device), torch.float64):
        screen = Screen(reference_rows, rows, dtype, device)
        found, exact, certain = _screened(screen, rows, reference_rows, k, max_bytes)
        indices[undecided], squared[undecided] = found, exact
        undecided = undecided[~certain]
        if not len(undecided):
            break
        rows = query_rows[undecided]
    for row in undecided:
        indices[row], squared[row] = _without_screen(query_rows[row : row + 1], reference_rows, k, max_bytes)
    return Neighbours(indices, np.sqrt(squared))


def squared_radii(
    features: FloatArray, k: int, *, max_bytes: int = DEFAULT_MAX_BYTES, device: str = "cpu"
) -> Float64Array:
    """Squared distance (N,) from each row to its k-th nearest other row, in float64."""
    neighbours = nearest_neighbours(features, features, k + 1, max_bytes=max_bytes, device=device)
    return squared_radii_of(features, neighbours, k, max_bytes)


def squared_radii_of(features: FloatArray, neighbours: Neighbours, k: int, max_bytes: int) -> Float64Array:
    """`squared_radii` for any k up to those of neighbours within the same rows.

    A row is its own nearest, at distance 0, so its k-th nearest other row is the (k + 1)-th of all.
    """
    rows = np.arange(len(features))
    return squared_distances_of_pairs(features, features, rows, neighbours.indices[:, k], max_bytes)


def squared_distances(first: FloatArray, second: FloatArray) -> Float64Array:
    """Σ(a − b)² in float64, row by row: (P, D) and (P, D) → (P,). Symmetric to the bit."""
    difference = first.astype(np.float64) - second
    return np.square(difference, out=difference).sum(axis=1)


def squared_distances_of_pairs(
    first: FloatArray, second: FloatArray, rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64], max_bytes: int
) -> Float64Array:
    """|first[rows[p]] − second[columns[p]]|² for every pair p, in blocks of pairs within `max_bytes`."""
    squared = np.empty(len(rows), dtype=np.float64)
    for pairs in row_blocks(len(rows), min(max_bytes, _CACHE_BYTES) // (32 * first.shape[1])):
        squared[pairs] = squared_distances(first[rows[pairs]], second[columns[pairs]])
    return squared


def screening_dtypes(device: str) -> tuple[torch.dtype, ...]:
    """The arithmetic of products that screen pairs on the device, fastest and coarsest first."""
    import torch

    # GPUs may add up bfloat16 products in less than float32, which the bound does not allow for.
    has_bfloat16 = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    is_fast = torch.device(device).type == "cpu" and has_bfloat16
    return (torch.bfloat16, torch.float32) if is_fast else (torch.float32,)


class Screen:
    """Two sets of features on the device, centred and scaled by a power of two, with their squared norms.

    Scaled norms are at most 1, so nothing overflows; `UNDERFLOW` bounds the error of underflow. Products are of type
    `dtype`, and what is added to them of type `sum_dtype`.
    """

    def __init__(self, reference: FloatArray, other: FloatArray, dtype: torch.dtype, device: str) -> None:
        import torch

        centre = reference.mean(axis=0, dtype=np.float64)
        peak = max(_peak_norm(reference, centre), _peak_norm(other, centre))
        self.scale = float(2.0 ** -np.ceil(np.log2(peak))) if peak > 0 else 1.0
        self.dtype, self.device = dtype, torch.device(device)
        self.sum_dtype = torch.float32 if dtype == torch.bfloat16 else dtype
        self._rounding = 0.0
        self.reference, self.reference_norms = self._prepared(reference, centre)
        is_same = other is reference  # then it is in memory once
        self.other, self.other_norms = (
            (self.reference, self.reference_norms) if is_same else self._prepared(other, centre)
        )
        self.epsilon = _dot_error(reference.shape[1], self.sum_dtype)
        if dtype == torch.bfloat16:
            self.epsilon = (1 + self._rounding) ** 2 * (1 + self.epsilon) * (1 + torch.finfo(dtype).eps / 2) - 1

    def squared(self, values: Float64Array) -> Tensor:
        """Convert squared distances from units of the features to scaled units, float64 on the device."""
        import torch

        return torch.from_numpy(values * self.scale**2).to(self.device)

    def _prepared(self, features: FloatArray, centre: Float64Array) -> tuple[Tensor, Tensor]:
        import torch

        rows = torch.empty(features.shape, dtype=self.dtype, device=self.device)
        norms = torch.empty(len(features), dtype=torch.float64, device=self.device)
        for block in row_blocks(len(features), 256):
            centred = features[block] - centre
            centred *= self.scale
            norms[block] = torch.from_numpy(np.einsum("ij,ij->i", centred, centred))
            rows[block] = torch.from_numpy(centred)
            if self.dtype == torch.bfloat16:
                self._rounding = max(self._rounding, _largest_rounding(rows[block], centred))
        return rows, norms


def _screened(
    screen: Screen, queries: FloatArray, references: FloatArray, k: int, max_bytes: int
) -> tuple[npt.NDArray[np.int64], Float64Array, npt.NDArray[np.bool_]]:
    """(indices, squared distances, is certain): candidates by their lower bound, whose distances are then computed in
    float64. Certain: no reference outside the candidates can be nearer than the k-th. Once most rows are uncertain, the
    rest of them is left to a finer product."""
    import torch

    num_candidates = min(k + _SPARE_CANDIDATES, len(references))
    lower = 1 - screen.epsilon
    column_terms = (screen.reference_norms * lower - UNDERFLOW).to(screen.sum_dtype)
    indices = np.empty((len(queries), k), dtype=np.int64)
    squared = np.empty((len(queries), k), dtype=np.float64)
    certain = np.zeros(len(queries), dtype=np.bool_)
    num_rows, num_columns = tile_shape(len(references), max_bytes)
    for rows in row_blocks(len(queries), num_rows):
        bound, columns = None, None
        for block in row_blocks(len(references), num_columns):
            product = screen.other[rows] @ screen.reference[block].T
            tile = torch.sub(column_terms[block], product, alpha=2)
            best = tile.topk(min(num_candidates, tile.shape[1]), dim=1, largest=False, sorted=False)
            tile_columns = best.indices + block.start
            bound = best.values if bound is None else torch.cat([bound, best.values], dim=1)
            columns = tile_columns if columns is None else torch.cat([columns, tile_columns], dim=1)
            best = bound.topk(min(num_candidates, bound.shape[1]), dim=1, largest=False)
            bound, columns = best.values, columns.gather(1, best.indices)
        assert bound is not None
        assert columns is not None
        left_out = bound[:, -1].double() + screen.other_norms[rows] * lower
        candidates = columns.cpu().numpy()
        pairs = np.repeat(np.arange(rows.start, rows.stop), num_candidates)
        exact = squared_distances_of_pairs(queries, references, pairs, candidates.ravel(), max_bytes)
        exact = exact.reshape(candidates.shape)
        order = np.argsort(exact, axis=1, kind="stable")[:, :k]
        indices[rows] = np.take_along_axis(candidates, order, axis=1)
        squared[rows] = np.take_along_axis(exact, order, axis=1)
        kth = screen.squared(squared[rows, -1])
        certain[rows] = (kth * (1 - _level(screen.dtype)) <= left_out.clamp(min=0)).cpu().numpy()
        if num_candidates == len(references):
            certain[rows] = True
        if screen.dtype != torch.float64 and certain[: rows.stop].mean() < _LEAST_CERTAIN:
            break
    return indices, squared, certain


def _without_screen(
    query: FloatArray, references: FloatArray, k: int, max_bytes: int
) -> tuple[npt.NDArray[np.int64], Float64Array]:
    """The k nearest of one query (1, D), without a product: for features whose norms are far above their distances."""
    columns = np.arange(len(references))
    exact = squared_distances_of_pairs(query, references, np.zeros_like(columns), columns, max_bytes)
    order = np.argsort(exact, kind="stable")[:k]
    return order, exact[order]


def _level(dtype: torch.dtype) -> float:
    """Relative difference up to which squared distances count as equal: 0 where a finer product follows."""
    import torch

    return 1e-10 if dtype == torch.float64 else 0.0


def tile_shape(num_columns: int, max_bytes: int) -> tuple[int, int]:
    """Rows and columns of a tile of distances whose temporaries (at most 48 bytes a pair) fit in `max_bytes`."""
    pairs = max(1, max_bytes // 48)
    columns = min(num_columns, max(1, pairs // 1024), 1 << 14)
    return max(1, min(pairs // columns, 1 << 12)), columns


def _dot_error(num_terms: int, dtype: torch.dtype) -> float:
    """ε: bound on the error of |a|² + |b|² − 2 a·b, relative to |a|² + |b|². Allows for TF32 and bfloat16."""
    import torch

    unit = torch.finfo(dtype).eps / 2
    rounded_inputs = 0.0
    if dtype == torch.float32:
        rounded_inputs = {"highest": 0.0, "high": 2.0**-10, "medium": 2.0**-7}[torch.get_float32_matmul_precision()]
    return 1.01 * (num_terms + 32) * unit + rounded_inputs


def _largest_rounding(rounded: Tensor, rows: Float64Array) -> float:
    """The largest |rounded − row| / |row|: by Cauchy and Schwarz, what rounding changes of a·b relative to |a||b|."""
    error = np.linalg.norm(rounded.double().cpu().numpy() - rows, axis=1)
    norms = np.linalg.norm(rows, axis=1)
    return float(np.divide(error, norms, out=np.zeros_like(error), where=norms > 0).max(initial=0.0))


def _peak_norm(features: FloatArray, centre: Float64Array) -> float:
    peaks = [float(np.linalg.norm(features[block] - centre, axis=1).max()) for block in row_blocks(len(features), 256)]
    return max(peaks, default=0.0)
