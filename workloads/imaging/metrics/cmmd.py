"""CMMD: Jayasumana et al. (2024), "Rethinking FID: towards a better evaluation metric for image generation",
https://arxiv.org/abs/2401.09603.

The squared maximum mean discrepancy between CLIP's image embeddings, which have length 1, under a Gaussian kernel,
times 1000. As in https://github.com/google-research/google-research (cmmd/distance.py) it is the biased estimate, which
includes the pairs of an image with itself, and is never negative. That one is computed in float32; this in float64.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from imaging.metrics.feature_arrays import Float64Array, checked_pair
from imaging.metrics.kernel_sums import DEFAULT_MAX_BYTES, RowSums, every, leaving_out

BANDWIDTH, SCALE = 10.0, 1000.0
"""σ of the kernel exp(−|x − y|² / 2σ²), and the factor that makes values readable."""


def cmmd(reference: npt.ArrayLike, samples: npt.ArrayLike, *, max_bytes: int = DEFAULT_MAX_BYTES) -> float:
    """CMMD of samples' embeddings (M, D) from a reference's (N, D). `max_bytes` bounds the working memory.

    Raises:
        FeatureError: wrong shape, different D, fewer than 2 rows on a side, NaN or infinity, all rows of the reference
            the same.

    Warns:
        CollapsedSamples: all rows of the samples are the same.
    """
    first, second = checked_pair(reference, samples)
    return SCALE * RowSums.of(gaussian_kernel_minus_one, first, second, max_bytes).discrepancy(every)


def cmmd_leaving_out(
    reference: npt.ArrayLike,
    samples: npt.ArrayLike,
    blocks: Sequence[npt.NDArray[np.int64]],
    *,
    max_bytes: int = DEFAULT_MAX_BYTES,
) -> tuple[float, Float64Array]:
    """`cmmd`, and it (G,) without the samples of each block of rows. Raises and warns as it does."""
    first, second = checked_pair(reference, samples)
    sums = RowSums.of(gaussian_kernel_minus_one, first, second, max_bytes)
    left_out = leaving_out(sums, gaussian_kernel_minus_one, second, blocks, max_bytes, every)
    return SCALE * sums.discrepancy(every), SCALE * left_out


def gaussian_kernel_minus_one(first: Float64Array, second: Float64Array) -> Float64Array:
    """exp(−|x − y|² / 2σ²) − 1, (P, D) and (Q, D) to (P, Q).

    The ones cancel in a discrepancy; without them, no digits are lost where the kernel is nearly 1.
    """
    squares = first @ second.T
    squares *= -2
    squares += np.einsum("ij,ij->i", first, first)[:, None]
    squares += np.einsum("ij,ij->i", second, second)
    squares /= -2 * BANDWIDTH**2
    return np.expm1(squares, out=squares)
