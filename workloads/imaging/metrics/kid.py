"""The kernel Inception distance: Bińkowski et al. (2018), "Demystifying MMD GANs".

Unlike that of the Fréchet distance, its expectation does not depend on the number of images, so it ranks models fairly
at small N. Legend: N references, M samples, D features.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from assay.statistics import jackknife_error
from imaging.metrics.feature_arrays import FeatureError, Float64Array, FloatArray, checked_pair, row_blocks

_MAX_BYTES = 1 << 28


class KernelDistance(NamedTuple):
    """An unbiased estimate, which may be negative, and its standard error, both in units of the kernel.

    The error includes the noise of both sets, references and samples.
    """

    kid: float
    standard_error: float


def kid(reference: npt.ArrayLike, samples: npt.ArrayLike, *, max_bytes: int = _MAX_BYTES) -> float:
    """Unbiased squared maximum mean discrepancy under the cubic kernel, over all pairs; float64. May be negative.

    There are no random subsets, so there is no seed. `max_bytes` bounds the working memory.

    Raises:
        FeatureError: wrong shape, different D, fewer than 2 rows on a side, NaN or infinity, all rows of the reference
            the same.

    Warns:
        CollapsedSamples: all rows of the samples are the same.
    """
    first, second = checked_pair(reference, samples)
    return _RowSums.of(first, second, max_bytes).unbiased()


def kid_with_standard_error(
    reference: npt.ArrayLike, samples: npt.ArrayLike, *, max_bytes: int = _MAX_BYTES
) -> KernelDistance:
    """`kid`, and its standard error by a jackknife that leaves out each reference and each sample once.

    Leaving a row out subtracts its sums of kernel values, so the jackknife costs nothing beyond `kid`.

    Raises:
        FeatureError: as `kid`, and fewer than 3 rows on a side.
    """
    first, second = checked_pair(reference, samples, at_least=3)
    return _RowSums.of(first, second, max_bytes).with_standard_error()


def kid_leaving_out(
    reference: npt.ArrayLike,
    samples: npt.ArrayLike,
    blocks: Sequence[npt.NDArray[np.int64]],
    *,
    max_bytes: int = _MAX_BYTES,
) -> tuple[KernelDistance, Float64Array]:
    """`kid_with_standard_error`, and `kid` (G,) without the samples of each block of rows.

    An interval from the latter covers the samples' noise alone, with the given reference. It is narrower than the
    standard error, and is the right one for comparing arms that share their reference. Beyond `kid`, it costs the
    kernel within each block. Raises and warns as `kid_with_standard_error`, and FeatureError if fewer than 2 samples
    would be left.
    """
    first, second = checked_pair(reference, samples, at_least=3)
    sums = _RowSums.of(first, second, max_bytes)
    left_out = []
    for rows in blocks:
        if len(second) - len(rows) < 2:
            raise FeatureError(f"leaving {len(rows)} of {len(second)} samples out leaves fewer than 2")
        within = float(_sums_within(second[rows], max_bytes).sum())
        left_out.append(sums.without_samples(rows, within))
    return sums.with_standard_error(), np.array(left_out)


def cubic_kernel(first: Float64Array, second: Float64Array) -> Float64Array:
    """k(x, y) = (x·y / D + 1)³, (P, D) and (Q, D) to (P, Q)."""
    gram = first @ second.T
    gram /= first.shape[1]
    gram += 1
    return gram * gram * gram


@dataclass(frozen=True)
class _RowSums:
    """Sums of the kernel between each row and the other rows of its set (`within`), and the other set (`across`)."""

    reference_within: Float64Array  # (N,)
    reference_across: Float64Array  # (N,)
    samples_within: Float64Array  # (M,)
    samples_across: Float64Array  # (M,)

    @classmethod
    def of(cls, reference: FloatArray, samples: FloatArray, max_bytes: int) -> _RowSums:
        if max_bytes < 1:
            raise FeatureError(f"max_bytes must be at least 1; got {max_bytes}")
        across, back = _sums_across(reference, samples, max_bytes)
        return cls(_sums_within(reference, max_bytes), across, _sums_within(samples, max_bytes), back)

    def unbiased(self) -> float:
        """Σ_{i≠j} k(xᵢ, xⱼ) / N(N−1) + Σ_{i≠j} k(yᵢ, yⱼ) / M(M−1) − 2 Σ_{ij} k(xᵢ, yⱼ) / NM."""
        n, m = len(self.reference_within), len(self.samples_within)
        within = self.reference_within.sum() / (n * (n - 1)) + self.samples_within.sum() / (m * (m - 1))
        return float(within - 2 * self.reference_across.sum() / (n * m))

    def without_samples(self, rows: npt.NDArray[np.int64], within_rows: float) -> float:
        """`unbiased` without some samples; `within_rows` is the sum of the kernel over pairs of those."""
        n, m = len(self.reference_within), len(self.samples_within) - len(rows)
        samples = self.samples_within.sum() - 2 * self.samples_within[rows].sum() + within_rows
        across = self.samples_across.sum() - self.samples_across[rows].sum()
        return float(self.reference_within.sum() / (n * (n - 1)) + samples / (m * (m - 1)) - 2 * across / (n * m))

    def with_standard_error(self) -> KernelDistance:
        value = self.unbiased()
        parts = (jackknife_error(value, left_out.tolist(), [1] * len(left_out)) for left_out in self.leaving_one_out())
        return KernelDistance(value, math.hypot(*parts))

    def leaving_one_out(self) -> tuple[Float64Array, Float64Array]:
        """`unbiased` without reference i, (N,), and without sample j, (M,)."""
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


def _sums_across(first: FloatArray, second: FloatArray, max_bytes: int) -> tuple[Float64Array, Float64Array]:
    """Sums of the kernel between each row of one set and all rows of the other, (N,) and (M,)."""
    first_sums, second_sums = np.zeros(len(first)), np.zeros(len(second))
    size = _rows_per_tile(first.shape[1], max_bytes)
    for rows in row_blocks(len(first), size):
        left = first[rows].astype(np.float64)
        for columns in row_blocks(len(second), size):
            tile = cubic_kernel(left, second[columns].astype(np.float64))
            first_sums[rows] += tile.sum(axis=1)
            second_sums[columns] += tile.sum(axis=0)
    return first_sums, second_sums


def _sums_within(features: FloatArray, max_bytes: int) -> Float64Array:
    """Sums of the kernel between each row and the others, (N,). Computes only tiles on and above the diagonal."""
    sums = np.zeros(len(features))
    size = _rows_per_tile(features.shape[1], max_bytes)
    for rows in row_blocks(len(features), size):
        left = features[rows].astype(np.float64)
        for columns in row_blocks(len(features), size):
            if columns.start == rows.start:
                tile = cubic_kernel(left, left)
                np.fill_diagonal(tile, 0.0)
                sums[rows] += tile.sum(axis=1)
            elif columns.start > rows.start:
                tile = cubic_kernel(left, features[columns].astype(np.float64))
                sums[rows] += tile.sum(axis=1)
                sums[columns] += tile.sum(axis=0)
    return sums


def _rows_per_tile(dim: int, max_bytes: int) -> int:
    """Rows on either side of a tile: two float64 copies of them, the tile and its temporaries fit in `max_bytes`."""
    return max(1, min(int(np.sqrt(max_bytes / 32)), max_bytes // (32 * dim)))
