"""Mean and covariance of features, computed in parts that can be merged.

Legend: N images, D features. M2 is the sum of outer products of the deviations from the mean, so that Σ = M2 / (N − 1).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from imaging.metrics.feature_arrays import (
    FeatureError,
    Float64Array,
    checked_features,
    refuse_different_dims,
    row_blocks,
)

_ROWS_PER_BLOCK = 8192
MERGED_ROWS = 4096
"""Rows whose moments are computed at once: a merge costs as much as the moments of D rows."""

DEFAULT_NUM_BLOCKS = 24
"""Blocks of samples for an interval: enough for a t quantile near the normal one, and divisible by 2, 3 and 4."""


@dataclass(frozen=True, eq=False)
class Gaussian:
    """The normal distribution fitted to a set of images, such as `mu` and `sigma` of a reference file: mean (D,) and
    covariance (D, D), float64."""

    mean: Float64Array
    cov: Float64Array
    factor: Float64Array | None = None
    """F (D, r) with Σ = F Fᵀ, if known: for N < D images, their scaled deviations from the mean, with r = N."""

    def __post_init__(self) -> None:
        mean, cov = np.asarray(self.mean, dtype=np.float64), np.asarray(self.cov, dtype=np.float64)
        if mean.ndim != 1 or cov.shape != (len(mean), len(mean)):
            raise FeatureError(f"mean must be (D,) and covariance (D, D); got shapes {mean.shape} and {cov.shape}")
        if not (np.isfinite(mean).all() and np.isfinite(cov).all()):
            raise FeatureError("mean and covariance must be finite; got NaN or infinity")
        # Not numpy.allclose, which takes four times as long: a jackknife constructs many Gaussians.
        if np.abs(cov - cov.T).max(initial=0.0) > 1e-6 * np.abs(cov).max(initial=0.0):
            raise FeatureError("covariance must be symmetric")
        object.__setattr__(self, "mean", mean)
        object.__setattr__(self, "cov", cov)

    @cached_property
    def root(self) -> Float64Array:
        """F with Σ = F Fᵀ: `factor` (D, r); or Cholesky's (D, D), lower triangular, in a tenth of the time of F = V√λ,
        which is the one if Σ is singular. Cached, since a reference is used often."""
        if self.factor is not None:
            return self.factor
        symmetric = (self.cov + self.cov.T) / 2
        try:
            return np.asfortranarray(np.linalg.cholesky(symmetric))
        except np.linalg.LinAlgError:
            eigenvalues, vectors = np.linalg.eigh(symmetric)
            return vectors * np.sqrt(np.clip(eigenvalues, 0.0, None))

    @cached_property
    def is_root_triangular(self) -> bool:
        return self.root.shape == self.cov.shape and not np.triu(self.root, 1).any()


@dataclass(frozen=True, eq=False)
class Moments:
    """Count, mean (D,) and M2 (D, D) of N ≥ 1 rows of features, float64.

    Merging is associative up to rounding. Merging the same blocks in the same order gives the same bits everywhere.
    """

    n: int
    mean: Float64Array
    m2: Float64Array

    def __post_init__(self) -> None:
        if self.n < 1:
            raise FeatureError(f"moments need at least one row of features; got n = {self.n}")
        dim = len(self.mean)
        if self.mean.shape != (dim,) or self.m2.shape != (dim, dim):
            raise FeatureError(f"mean must be (D,) and M2 (D, D); got {self.mean.shape} and {self.m2.shape}")

    @classmethod
    def of(cls, features: npt.ArrayLike) -> Moments:
        """Moments of features (N, D), N ≥ 1, computed in blocks of rows without a float64 copy of all features.

        Raises:
            FeatureError: wrong shape, no rows, NaN or infinity.
        """
        array = checked_features(features, "features")
        return cls.combine(cls._of_block(array[rows]) for rows in row_blocks(len(array), _ROWS_PER_BLOCK))

    @classmethod
    def blocks(cls, features: npt.ArrayLike, num_blocks: int = DEFAULT_NUM_BLOCKS) -> list[Moments]:
        """Moments of `num_blocks` runs of consecutive rows of features (N, D), of equal size to within one row.

        Intervals and FID∞ are computed from them, without the features. Each block takes D² float64, 32 MiB in 2048
        dimensions. Rows must be exchangeable: shuffle images that are sorted by class.

        Raises:
            FeatureError: as `of`, num_blocks < 1, or fewer rows than blocks.
        """
        if num_blocks < 1:
            raise FeatureError(f"num_blocks must be at least 1; got {num_blocks}")
        array = checked_features(features, "features", at_least=num_blocks)
        edges = np.linspace(0, len(array), num_blocks + 1).astype(int).tolist()
        return [
            cls.combine(cls._of_block(block[rows]) for rows in row_blocks(len(block), _ROWS_PER_BLOCK))
            for block in (array[start:stop] for start, stop in pairwise(edges))
        ]

    @classmethod
    def combine(cls, parts: Iterable[Moments]) -> Moments:
        """Merge moments in the order given. Raises FeatureError when there are none."""
        parts = iter(parts)
        first = next(parts, None)
        if first is None:
            raise FeatureError("there are no moments to combine; got an empty sequence")
        return reduce(cls.merge, parts, first)

    @classmethod
    def _of_block(cls, block: npt.NDArray[np.floating]) -> Moments:
        rows = block.astype(np.float64)
        mean = rows.mean(axis=0)
        deviations = rows - mean
        return cls(len(rows), mean, deviations.T @ deviations)

    def merge(self, other: Moments) -> Moments:
        """Moments of both sets together.

        Chan, Golub and LeVeque (1979): with δ = mean_b − mean_a and n = n_a + n_b,
        mean = mean_a + δ n_b / n and M2 = M2_a + M2_b + δ δᵀ n_a n_b / n.
        """
        refuse_different_dims(self.dim, other.dim)
        n = self.n + other.n
        delta = other.mean - self.mean
        mean = self.mean + delta * (other.n / n)
        return Moments(n, mean, self.m2 + other.m2 + np.outer(delta, delta) * (self.n * other.n / n))

    def without(self, part: Moments) -> Moments:
        """Moments of the remaining rows, given that `part` was merged into these: the inverse of `merge`.

        Raises:
            FeatureError: different D, or nothing would be left.
        """
        refuse_different_dims(self.dim, part.dim)
        n = self.n - part.n
        if n < 1:
            raise FeatureError(f"cannot leave {part.n} rows of features out of {self.n}: none would be left")
        mean = self.mean + (self.mean - part.mean) * (part.n / n)
        delta = part.mean - mean
        return Moments(n, mean, self.m2 - part.m2 - np.outer(delta, delta) * (n * part.n / self.n))

    @property
    def dim(self) -> int:
        """D, the number of features."""
        return len(self.mean)

    @property
    def cov(self) -> Float64Array:
        """Unbiased covariance (D, D): M2 / (n − 1). Raises FeatureError when n is 1."""
        if self.n < 2:
            raise FeatureError(f"a covariance needs at least 2 rows of features; got {self.n}")
        return self.m2 / (self.n - 1)

    @property
    def is_constant(self) -> bool:
        """Whether all rows are the same, up to the rounding of their mean."""
        largest_deviation = np.sqrt(np.diagonal(self.m2).max() / self.n)
        return bool(largest_deviation <= 1e-12 * np.abs(self.mean).max())

    @cached_property
    def gaussian(self) -> Gaussian:
        """The normal distribution with this mean and covariance. Cached, with its root."""
        return Gaussian(self.mean, self.cov)
