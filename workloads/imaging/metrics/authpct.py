"""AuthPct, the share of authentic samples, which falls when a model copies its training images: Alaa et al. (2022),
"How faithful is your synthetic data?", https://arxiv.org/abs/2102.08921, in percent as in Stein et al. (2023),
https://arxiv.org/abs/2306.04675 (https://github.com/layer6ai-labs/dgm-eval, dgm_eval/metrics/authpct.py).

A sample is authentic if the real image nearest to it is nearer to another real image than to the sample. Real images
should be those that the model was trained on.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from imaging.metrics.feature_arrays import Float64Array, FloatArray, checked_pair
from imaging.metrics.neighbours import DEFAULT_MAX_BYTES, nearest_neighbours, squared_radii


def authpct(
    reference: npt.ArrayLike, samples: npt.ArrayLike, *, max_bytes: int = DEFAULT_MAX_BYTES, device: str = "cpu"
) -> float:
    """The percentage of samples (M, D) that are authentic, given the training images (N, D).

    Raises:
        FeatureError: wrong shape, different D, fewer than 2 rows on a side, NaN or infinity, all rows of the reference
            the same.

    Warns:
        CollapsedSamples: all rows of the samples are the same.
    """
    first, second = checked_pair(reference, samples)
    return 100 * float(is_authentic(first, second, max_bytes=max_bytes, device=device).mean())


def is_authentic(
    reference: FloatArray,
    samples: FloatArray,
    *,
    radii: Float64Array | None = None,
    max_bytes: int = DEFAULT_MAX_BYTES,
    device: str = "cpu",
) -> npt.NDArray[np.bool_]:
    """Which samples are authentic, (M,). `radii` are the squared distances from each reference to the nearest other
    one, if they are known."""
    if radii is None:
        radii = squared_radii(reference, 1, max_bytes=max_bytes, device=device)
    nearest = nearest_neighbours(samples, reference, 1, max_bytes=max_bytes, device=device)
    return np.sqrt(radii)[nearest.indices[:, 0]] < nearest.distances[:, 0]
