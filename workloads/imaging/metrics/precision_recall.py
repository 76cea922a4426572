"""Improved precision and recall: Kynkäänniemi et al. (2019), "Improved precision and recall metric for assessing
generative models".

The manifold of a set is the union of balls around its points; a ball's radius is the distance to the point's k-th
nearest neighbour in the set, not counting itself. Precision is the share of samples inside the manifold of the
reference; recall is the share of references inside the manifold of the samples. The ADM paper uses k = 3, 50,000
samples and 10,000 references.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from imaging.metrics import Arithmetic
from imaging.metrics.feature_arrays import FeatureError, Float64Array, FloatArray, checked_pair, row_blocks
from imaging.metrics.neighbours import (
    DEFAULT_MAX_BYTES,
    UNDERFLOW,
    Screen,
    screening_dtypes,
    squared_distances_of_pairs,
    squared_radii,
    tile_shape,
)

if TYPE_CHECKING:
    from torch import Tensor


_MOST_UNDECIDED = 1 / 64
"""Share of a tile's pairs. In float64, one takes about 64 times what it takes in a float32 product."""


class PrecisionRecall(NamedTuple):
    """Shares between 0 and 1."""

    precision: float
    recall: float


class ManifoldHits(NamedTuple):
    """Which points are inside the manifold of the other set. Recall and precision are their means."""

    reference: npt.NDArray[np.bool_]  # (N,)
    samples: npt.NDArray[np.bool_]  # (M,)


def precision_recall(
    reference: npt.ArrayLike,
    samples: npt.ArrayLike,
    k: int = 3,
    *,
    arithmetic: Arithmetic = "float32",
    max_bytes: int = DEFAULT_MAX_BYTES,
    device: str = "cpu",
) -> PrecisionRecall:
    """Precision and recall of samples (M, D) against a reference (N, D).

    `arithmetic="float32"` gives the result of float64: a bfloat16 or float32 product decides wherever its error bound
    allows, and the remaining pairs are computed again in float64. `"float16"` rounds as the reference evaluator does,
    for comparison with its figures only: its error is in the second decimal. `max_bytes` (1 GiB) bounds the
    working memory, beyond the features and one float32 copy of them on the device; there is never an N × M matrix.

    Raises:
        FeatureError: wrong shape, different D, NaN or infinity, all rows of the reference the same, k < 1, or a side
            with no more than k rows.

    Warns:
        CollapsedSamples: all rows of the samples are the same, so their balls have radius 0.
    """
    first, second = checked_pair(reference, samples)
    hits = _checked_hits(first, second, k, arithmetic, max_bytes, device)
    return PrecisionRecall(float(hits.samples.mean()), float(hits.reference.mean()))


def manifold_hits(
    reference: npt.ArrayLike,
    samples: npt.ArrayLike,
    k: int = 3,
    *,
    arithmetic: Arithmetic = "float32",
    reference_radii: Float64Array | None = None,
    max_bytes: int = DEFAULT_MAX_BYTES,
    device: str = "cpu",
) -> ManifoldHits:
    """Which rows `precision_recall` counts as inside. Raises and warns as it does. `reference_radii` are the squared
    radii of the references' balls, if they are known; float16 computes its own."""
    first, second = checked_pair(reference, samples)
    return _checked_hits(first, second, k, arithmetic, max_bytes, device, reference_radii)


def _checked_hits(
    first: FloatArray,
    second: FloatArray,
    k: int,
    arithmetic: str,
    max_bytes: int,
    device: str,
    reference_radii: Float64Array | None = None,
) -> ManifoldHits:
    if not 1 <= k < min(len(first), len(second)):
        raise FeatureError(
            f"k must be at least 1 and less than the rows of either side ({len(first)} and {len(second)}); got {k}"
        )
    if arithmetic == "float16":
        from imaging.metrics.precision_recall_float16 import hits_in_float16

        return ManifoldHits(*hits_in_float16(first, second, k, max_bytes=max_bytes, device=device))
    if arithmetic == "float32":
        return ManifoldHits(*_hits(first, second, k, max_bytes, device, reference_radii))
    raise FeatureError(f"arithmetic must be 'float32' or 'float16'; got {arithmetic!r}")


@dataclass(frozen=True)
class _Side:
    """One set as points and as balls: features (N, D), squared radii (N,); scaled norms and radii on the device."""

    features: FloatArray
    squared_radii: Float64Array
    norms: Tensor
    radii: Tensor


def _hits(
    reference: FloatArray,
    samples: FloatArray,
    k: int,
    max_bytes: int,
    device: str,
    reference_radii: Float64Array | None,
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which references lie in a sample's ball, and which samples in a reference's, from one product."""
    # The radii come first, since they need a copy of a set on the device, which is freed before the screen's.
    if reference_radii is None:
        reference_radii = squared_radii(reference, k, max_bytes=max_bytes, device=device)
    radii = [reference_radii, squared_radii(samples, k, max_bytes=max_bytes, device=device)]
    hits = np.zeros(len(reference), dtype=np.bool_), np.zeros(len(samples), dtype=np.bool_)
    num_rows, num_columns = tile_shape(len(reference), max_bytes)
    tiles = [
        (rows, columns)
        for rows in row_blocks(len(samples), num_rows)
        for columns in row_blocks(len(reference), num_columns)
    ]
    *coarse, finest = screening_dtypes(device)
    for dtype in coarse:
        screen = Screen(reference, samples, dtype, device)
        tiles = tiles[_decided_tiles(tiles, screen, reference, samples, radii, hits, max_bytes, _MOST_UNDECIDED) :]
        del screen  # before the next one's copy
    if tiles:
        screen = Screen(reference, samples, finest, device)
        _decided_tiles(tiles, screen, reference, samples, radii, hits, max_bytes, 1.0)
    return hits


def _decided_tiles(
    tiles: list[tuple[slice, slice]],
    screen: Screen,
    reference: FloatArray,
    samples: FloatArray,
    radii: list[Float64Array],
    hits: tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]],
    max_bytes: int,
    most_undecided: float,
) -> int:
    """Add the hits of each tile (samples, references) until a product leaves more than a share of a tile's pairs
    undecided; returns the number of tiles that are done."""
    first = _Side(reference, radii[0], screen.reference_norms, screen.squared(radii[0]))
    second = _Side(samples, radii[1], screen.other_norms, screen.squared(radii[1]))
    for index, (rows, columns) in enumerate(tiles):
        product = screen.other[rows] @ screen.reference[columns].T
        for products, points, balls, at, of, known in (
            (product, second, first, rows, columns, hits[1]),
            (product.T, first, second, columns, rows, hits[0]),
        ):
            inside = _inside(products, points, at, balls, of, known[at], screen, max_bytes, most_undecided)
            if inside is None:
                return index
            known[at] |= inside
    return len(tiles)


def _inside(
    product: Tensor,
    points: _Side,
    rows: slice,
    balls: _Side,
    columns: slice,
    known: npt.NDArray[np.bool_],
    screen: Screen,
    max_bytes: int,
    most_undecided: float,
) -> npt.NDArray[np.bool_] | None:
    """Which points[rows] lie in any of balls[columns]; `product` (P, B) has their dot products. None if the share of
    pairs that it leaves undecided is larger than `most_undecided`.

    Point i is inside ball j if p_i + b_j − 2 product_ij ≤ r_j, where p and b are squared norms and r squared radii. It
    surely is if this holds with the largest errors of all terms against it, and possibly with the errors in its favour.
    """
    import torch

    epsilon, dtype = screen.epsilon, screen.sum_dtype
    p, b, r = points.norms[rows], balls.norms[columns], balls.radii[columns]
    surely = ((1 + epsilon) * b - (1 - epsilon) * r + UNDERFLOW).to(dtype)
    worst = torch.sub(surely, product, alpha=2).amin(dim=1).double()
    inside = (worst <= -(1 + epsilon) * p).cpu().numpy() | known
    left = np.flatnonzero(~inside)
    if not len(left):
        return inside
    on_device = torch.from_numpy(left).to(product.device)
    possibly = ((1 - epsilon) * b - (1 + epsilon) * r - UNDERFLOW).to(dtype)
    slack = torch.sub(possibly, product[on_device], alpha=2)
    slack += ((1 - epsilon) * p[on_device]).to(dtype)[:, None]
    if int((slack <= 0).sum()) > most_undecided * product.numel():
        return None
    best = slack.argmin(dim=1).cpu().numpy()
    inside[left] = _exactly_inside(points, left + rows.start, balls, best + columns.start, max_bytes)
    pairs = (slack <= 0).cpu().numpy() & ~inside[left][:, None]
    at, of = np.nonzero(pairs)
    hit = _exactly_inside(points, left[at] + rows.start, balls, of + columns.start, max_bytes)
    inside[left[at[hit]]] = True
    return inside


def _exactly_inside(
    points: _Side, rows: npt.NDArray[np.int64], balls: _Side, columns: npt.NDArray[np.int64], max_bytes: int
) -> npt.NDArray[np.bool_]:
    """Whether points[rows[i]] lies in balls[columns[i]], in float64."""
    distances = squared_distances_of_pairs(points.features, balls.features, rows, columns, max_bytes)
    return distances <= balls.squared_radii[columns]
