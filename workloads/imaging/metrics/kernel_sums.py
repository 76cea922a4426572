"""Sums of a kernel over pairs of images, from which maximum mean discrepancies are computed (Gretton et al. 2012, "A
kernel two-sample test", https://jmlr.csail.mit.edu/papers/volume13/gretton12a/gretton12a.pdf).

Legend: N references, M samples, D features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from imaging.metrics.feature_arrays import FeatureError, Float64Array, FloatArray, row_blocks

Kernel = Callable[[Float64Array, Float64Array], Float64Array]
"""(P, D) and (Q, D) to (P, Q)."""
Pairs = Callable[[int], int]
"""How many pairs within n rows a mean is over."""
DEFAULT_MAX_BYTES = 1 << 28


def distinct(n: int) -> int:
    """Pairs of different rows, for the unbiased estimate."""
    return n * (n - 1)


def every(n: int) -> int:
    """Also the pairs of a row with itself, for the biased estimate. Sums leave them out: the kernel must be 0 there."""
    return n * n


@dataclass(frozen=True)
class RowSums:
    """Sums of the kernel between each row and the other rows of its set (`within`), and the other set (`across`)."""

    reference_within: Float64Array  # (N,)
    reference_across: Float64Array  # (N,)
    samples_within: Float64Array  # (M,)
    samples_across: Float64Array  # (M,)

    @classmethod
    def of(cls, kernel: Kernel, reference: FloatArray, samples: FloatArray, max_bytes: int) -> RowSums:
        if max_bytes < 1:
            raise FeatureError(f"max_bytes must be at least 1; got {max_bytes}")
        across, back = _sums_across(kernel, reference, samples, max_bytes)
        return cls(sums_within(kernel, reference, max_bytes), across, sums_within(kernel, samples, max_bytes), back)

    def discrepancy(self, pairs: Pairs) -> float:
        """Σ_{i≠j} k(xᵢ, xⱼ) / pairs(N) + Σ_{i≠j} k(yᵢ, yⱼ) / pairs(M) − 2 Σ_{ij} k(xᵢ, yⱼ) / NM."""
        n, m = len(self.reference_within), len(self.samples_within)
        within = self.reference_within.sum() / pairs(n) + self.samples_within.sum() / pairs(m)
        return float(within - 2 * self.reference_across.sum() / (n * m))

    def without_samples(self, rows: npt.NDArray[np.int64], within_rows: float, pairs: Pairs) -> float:
        """`discrepancy` without some samples; `within_rows` is the sum of the kernel over pairs of those."""
        n, m = len(self.reference_within), len(self.samples_within) - len(rows)
        samples = self.samples_within.sum() - 2 * self.samples_within[rows].sum() + within_rows
        across = self.samples_across.sum() - self.samples_across[rows].sum()
        return float(self.reference_within.sum() / pairs(n) + samples / pairs(m) - 2 * across / (n * m))

    def leaving_one_out(self) -> tuple[Float64Array, Float64Array]:
        """`discrepancy(distinct)` without reference i, (N,), and without sample j, (M,)."""
        n, m = len(self.reference_within), len(self.samples_within)
        across = self.reference_across.sum()
        reference, samples = self.reference_within.sum(), self.samples_within.sum()
        without_reference = (
            (reference - 2 * self.reference_within) / ((n - 1) * (n - 2))
            + samples / (m * (m - 1))
            - 2 * (across - self.reference_across) / ((n - 1) * m)
        )
        without_sample = (
            reference / (n * (n - 1))
            + (samples - 2 * self.samples_within) / ((m - 1) * (m - 2))
            - 2 * (across - self.samples_across) / (n * (m - 1))
        )
        return without_reference, without_sample


def leaving_out(
    sums: RowSums,
    kernel: Kernel,
    samples: FloatArray,
    blocks: Sequence[npt.NDArray[np.int64]],
    max_bytes: int,
    pairs: Pairs,
) -> Float64Array:
    """`RowSums.discrepancy` (G,) without the samples of each block of rows. Costs the kernel within each block.

    Raises FeatureError if fewer than 2 samples would be left.
    """
    left_out = []
    for rows in blocks:
        if len(samples) - len(rows) < 2:
            raise FeatureError(f"leaving {len(rows)} of {len(samples)} samples out leaves fewer than 2")
        within = float(sums_within(kernel, samples[rows], max_bytes).sum())
        left_out.append(sums.without_samples(rows, within, pairs))
    return np.array(left_out)


def _sums_across(
    kernel: Kernel, first: FloatArray, second: FloatArray, max_bytes: int
) -> tuple[Float64Array, Float64Array]:
    """Sums of the kernel between each row of one set and all rows of the other, (N,) and (M,)."""
    first_sums, second_sums = np.zeros(len(first)), np.zeros(len(second))
    size = _rows_per_tile(first.shape[1], max_bytes)
    for rows in row_blocks(len(first), size):
        left = first[rows].astype(np.float64)
        for columns in row_blocks(len(second), size):
            tile = kernel(left, second[columns].astype(np.float64))
            first_sums[rows] += tile.sum(axis=1)
            second_sums[columns] += tile.sum(axis=0)
    return first_sums, second_sums


def sums_within(kernel: Kernel, features: FloatArray, max_bytes: int) -> Float64Array:
    """Sums of the kernel between each row and the others, (N,). Computes only tiles on and above the diagonal."""
    sums = np.zeros(len(features))
    size = _rows_per_tile(features.shape[1], max_bytes)
    for rows in row_blocks(len(features), size):
        left = features[rows].astype(np.float64)
        for columns in row_blocks(len(features), size):
            if columns.start == rows.start:
                tile = kernel(left, left)
                np.fill_diagonal(tile, 0.0)
                sums[rows] += tile.sum(axis=1)
            elif columns.start > rows.start:
                tile = kernel(left, features[columns].astype(np.float64))
                sums[rows] += tile.sum(axis=1)
                sums[columns] += tile.sum(axis=0)
    return sums


def _rows_per_tile(dim: int, max_bytes: int) -> int:
    """Rows on either side of a tile: two float64 copies of them, the tile and its temporaries fit in `max_bytes`."""
    return max(1, min(int(np.sqrt(max_bytes / 32)), max_bytes // (32 * dim)))
