"""Density and coverage: Naeem et al. (2020), "Reliable fidelity and diversity metrics for generative models",
https://arxiv.org/abs/2002.09797.

A reference's ball extends to its k-th nearest neighbour among the references, not counting itself. Density is the mean
number of balls that a sample is inside, divided by k: it may exceed 1. Coverage is the share of balls with a sample
inside. Unlike precision and recall, they change little with one outlier among the references, and use no balls of
samples. As in https://github.com/clovaai/generative-evaluation-prdc, a point on the surface of a ball is outside.

Legend: N references, M samples, D features, G blocks of samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

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

DEFAULT_K = 5
MOST_UNDECIDED = 1 / 64
"""Share of a tile's pairs that a coarse product may leave undecided: in float64, a pair takes about 64 times longer."""


class DensityCoverage(NamedTuple):
    """Density is at least 0, and about 1 for samples like the reference; coverage is between 0 and 1."""

    density: float
    coverage: float


@dataclass(frozen=True)
class BallCounts:
    """How many samples of each block are inside each reference's ball, (G, N); the blocks' sizes, (G,); and k."""

    counts: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    k: int

    @property
    def value(self) -> DensityCoverage:
        return self._of(self.counts.sum(axis=0), int(self.sizes.sum()))

    @property
    def left_out(self) -> list[DensityCoverage]:
        """The same without the samples of each block."""
        total, num_samples = self.counts.sum(axis=0), int(self.sizes.sum())
        return [
            self._of(total - block, num_samples - int(size))
            for block, size in zip(self.counts, self.sizes, strict=True)
        ]

    def _of(self, inside: npt.NDArray[np.int64], num_samples: int) -> DensityCoverage:
        return DensityCoverage(float(inside.sum() / (self.k * num_samples)), float((inside > 0).mean()))


def density_coverage(
    reference: npt.ArrayLike,
    samples: npt.ArrayLike,
    k: int = DEFAULT_K,
    *,
    max_bytes: int = DEFAULT_MAX_BYTES,
    device: str = "cpu",
) -> DensityCoverage:
    """Density and coverage of samples (M, D) by a reference (N, D): the result of float64, as `precision_recall` gets
    it. `max_bytes` bounds the working memory; there is never an N × M matrix.

    Raises:
        FeatureError: wrong shape, different D, NaN or infinity, all rows of the reference the same, k < 1, or no more
            than k references.

    Warns:
        CollapsedSamples: all rows of the samples are the same.
    """
    first, second = checked_pair(reference, samples)
    everything = [np.arange(len(second))]
    return ball_counts(first, second, everything, k, max_bytes=max_bytes, device=device).value


def ball_counts(
    reference: FloatArray,
    samples: FloatArray,
    blocks: Sequence[npt.NDArray[np.int64]],
    k: int = DEFAULT_K,
    *,
    radii: Float64Array | None = None,
    max_bytes: int = DEFAULT_MAX_BYTES,
    device: str = "cpu",
) -> BallCounts:
    """What density and coverage are computed from, by block of samples. `radii` are the squared radii of the
    references' balls, if they are known. Raises as `density_coverage`."""
    if not 1 <= k < len(reference):
        raise FeatureError(f"k must be at least 1 and less than the {len(reference)} references; got {k}")
    if radii is None:
        radii = squared_radii(reference, k, max_bytes=max_bytes, device=device)
    block_of = np.empty(len(samples), dtype=np.int64)
    for index, block in enumerate(blocks):
        block_of[block] = index
    counts = np.zeros((len(blocks), len(reference)), dtype=np.int64)
    num_rows, num_columns = tile_shape(len(reference), max_bytes)
    tiles = [
        (rows, columns)
        for rows in row_blocks(len(samples), num_rows)
        for columns in row_blocks(len(reference), num_columns)
    ]
    *coarse, finest = screening_dtypes(device)
    for dtype, most_undecided in (*((dtype, MOST_UNDECIDED) for dtype in coarse), (finest, 1.0)):
        if not tiles:
            break
        screen = Screen(reference, samples, dtype, device)
        balls = screen.squared(radii)
        done = 0
        for rows, columns in tiles:
            found = _counted(screen, balls, rows, columns, block_of[rows], len(blocks), most_undecided)
            if found is None:
                break
            inside, at, of = found
            exact = squared_distances_of_pairs(samples, reference, at, of, max_bytes)
            hit = exact < radii[of]
            np.add.at(inside, (block_of[at[hit]], of[hit] - columns.start), 1)
            counts[:, columns] += inside
            done += 1
        tiles = tiles[done:]
        del screen  # before the next one's copy
    return BallCounts(counts, np.array([len(block) for block in blocks]), k)


def _counted(
    screen: Screen,
    balls: Tensor,
    rows: slice,
    columns: slice,
    block_of: npt.NDArray[np.int64],
    num_blocks: int,
    most_undecided: float,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]] | None:
    """How many of samples[rows] are surely inside each ball of reference[columns], by block (G, B); and the pairs
    (sample, reference) that the product leaves undecided. None if these are more than a share of all.

    Sample i is inside ball j if p_i + b_j − 2 product_ij < r_j, where p and b are squared norms and r squared radii. It
    surely is if this holds with the largest errors of all terms against it, and possibly with the errors in its favour.
    """
    import torch

    epsilon, dtype = screen.epsilon, screen.sum_dtype
    p, b, r = screen.other_norms[rows], screen.reference_norms[columns], balls[columns]
    product = screen.other[rows] @ screen.reference[columns].T
    least = torch.sub(((1 + epsilon) * b - (1 - epsilon) * r + UNDERFLOW).to(dtype), product, alpha=2)
    least += ((1 + epsilon) * p).to(dtype)[:, None]
    surely = least <= 0
    most = torch.sub(((1 - epsilon) * b - (1 + epsilon) * r - UNDERFLOW).to(dtype), product, alpha=2)
    most += ((1 - epsilon) * p).to(dtype)[:, None]
    undecided = (most <= 0) & ~surely
    if int(undecided.sum()) > most_undecided * product.numel():
        return None
    inside = torch.zeros(num_blocks, surely.shape[1], dtype=torch.int32, device=surely.device)
    inside.index_add_(0, torch.from_numpy(block_of).to(surely.device), surely.int())
    at, of = np.nonzero(undecided.cpu().numpy())
    return inside.cpu().numpy().astype(np.int64), at + rows.start, of + columns.start
