"""The kernel Inception distance: Bińkowski et al. (2018), "Demystifying MMD GANs".

Unlike that of the Fréchet distance, its expectation does not depend on the number of images, so it ranks models fairly
at small N. Legend: N references, M samples, D features.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from assay.statistics import jackknife_error
from imaging.metrics.feature_arrays import Float64Array, checked_pair
from imaging.metrics.kernel_sums import DEFAULT_MAX_BYTES, RowSums, distinct, leaving_out


class KernelDistance(NamedTuple):
    """An unbiased estimate, which may be negative, and its standard error, both in units of the kernel.

    The error includes the noise of both sets, references and samples.
    """

    kid: float
    standard_error: float


def kid(reference: npt.ArrayLike, samples: npt.ArrayLike, *, max_bytes: int = DEFAULT_MAX_BYTES) -> float:
    """Unbiased squared maximum mean discrepancy under the cubic kernel, over all pairs; float64. May be negative.

    There are no random subsets, so there is no seed. `max_bytes` bounds the working memory.

    Raises:
        FeatureError: wrong shape, different D, fewer than 2 rows on a side, NaN or infinity, all rows of the reference
            the same.

    Warns:
        CollapsedSamples: all rows of the samples are the same.
    """
    first, second = checked_pair(reference, samples)
    return RowSums.of(cubic_kernel, first, second, max_bytes).discrepancy(distinct)


def kid_with_standard_error(
    reference: npt.ArrayLike, samples: npt.ArrayLike, *, max_bytes: int = DEFAULT_MAX_BYTES
) -> KernelDistance:
    """`kid`, and its standard error by a jackknife that leaves out each reference and each sample once.

    Leaving a row out subtracts its sums of kernel values, so the jackknife costs nothing beyond `kid`.

    Raises:
        FeatureError: as `kid`, and fewer than 3 rows on a side.
    """
    first, second = checked_pair(reference, samples, at_least=3)
    return _with_standard_error(RowSums.of(cubic_kernel, first, second, max_bytes))


def kid_leaving_out(
    reference: npt.ArrayLike,
    samples: npt.ArrayLike,
    blocks: Sequence[npt.NDArray[np.int64]],
    *,
    max_bytes: int = DEFAULT_MAX_BYTES,
) -> tuple[KernelDistance, Float64Array]:
    """`kid_with_standard_error`, and `kid` (G,) without the samples of each block of rows.

    An interval from the latter covers the samples' noise alone, with the given reference. It is narrower than the
    standard error, and is the right one for comparing arms that share their reference. Beyond `kid`, it costs the
    kernel within each block. Raises and warns as `kid_with_standard_error`, and FeatureError if fewer than 2 samples
    would be left.
    """
    first, second = checked_pair(reference, samples, at_least=3)
    sums = RowSums.of(cubic_kernel, first, second, max_bytes)
    return _with_standard_error(sums), leaving_out(sums, cubic_kernel, second, blocks, max_bytes, distinct)


def _with_standard_error(sums: RowSums) -> KernelDistance:
    value = sums.discrepancy(distinct)
    parts = (jackknife_error(value, left_out.tolist(), [1] * len(left_out)) for left_out in sums.leaving_one_out())
    return KernelDistance(value, math.hypot(*parts))


def cubic_kernel(first: Float64Array, second: Float64Array) -> Float64Array:
    """k(x, y) = (x·y / D + 1)³, (P, D) and (Q, D) to (P, Q)."""
    gram = first @ second.T
    gram /= first.shape[1]
    gram += 1
    return gram * gram * gram
