"""The Fréchet distance between two sets of features: FID on Inception's pool features, sFID on its spatial ones.

Heusel et al. (2017), "GANs trained by a two time-scale update rule converge to a local Nash equilibrium".
Legend: D features; μ means; Σ covariances with N − 1 in the denominator.
"""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
from scipy.linalg import blas

from assay.errors import AssayWarning
from imaging.metrics.feature_arrays import (
    Float64Array,
    checked_features,
    refuse_different_dims,
    refuse_or_warn_of_constant,
)
from imaging.metrics.moments import Gaussian, Moments


class FewSamples(AssayWarning):
    """No more samples than features: the covariance is singular, and the Fréchet distance strongly biased."""


def frechet_distance(
    reference: npt.ArrayLike | Moments | Gaussian, samples: npt.ArrayLike | Moments | Gaussian
) -> float:
    """Fréchet distance between normal distributions fitted to the reference and to the samples, in float64.

    Either side is features (N, D), their Moments, or a Gaussian. Moments and Gaussians keep the root of their
    covariance, so later calls with the same `reference` are cheaper.

    Returns:
        The distance, ≥ 0, in squared units of the features. It depends on N: compare only at equal N.

    Raises:
        FeatureError: wrong shape, different D, fewer than 2 rows, NaN or infinity, all rows of the reference the same.

    Warns:
        FewSamples: a side has no more rows than features.
        CollapsedSamples: all rows of the samples are the same, which is zero covariance.
    """
    first, second = gaussian_of(reference, "reference"), gaussian_of(samples, "samples")
    return frechet_between_gaussians(first, second)


def frechet_between_gaussians(first: Gaussian, second: Gaussian) -> float:
    """d² = |μ₁ − μ₂|² + tr Σ₁ + tr Σ₂ − 2 tr √(Σ₁ Σ₂), at least 0."""
    refuse_different_dims(len(first.mean), len(second.mean))
    difference = first.mean - second.mean
    traces = np.trace(first.cov) + np.trace(second.cov)
    return max(0.0, float(difference @ difference + traces - 2 * trace_of_root_of_product(first, second)))


def trace_of_root_of_product(first: Gaussian, second: Gaussian) -> float:
    """tr √(Σ₁ Σ₂) = Σᵢ √λᵢ(Fᵀ Σ₂ F), where Σ₁ = F Fᵀ; with the two exchanged if only the second has a known F.

    Fᵀ Σ₂ F has the eigenvalues of Σ₁ Σ₂ and is symmetric and positive semidefinite, so no complex roots arise, also for
    singular covariances. Eigenvalues below 0 are rounding errors, and count as 0.
    """
    if second.factor is not None and first.factor is None:
        first, second = second, first
    symmetric = _congruent(first, second.cov)
    eigenvalues = np.linalg.eigvalsh((symmetric + symmetric.T) / 2)
    return float(np.sqrt(np.clip(eigenvalues, 0.0, None)).sum())


def _congruent(first: Gaussian, cov: Float64Array) -> Float64Array:
    """Fᵀ Σ F. Half of the operations if F is triangular."""
    root = first.root
    if not first.is_root_triangular:
        return root.T @ cov @ root
    half = blas.dtrmm(1.0, root, cov, side=1, lower=1)
    return blas.dtrmm(1.0, root, half, lower=1, trans_a=1, overwrite_b=1)


def gaussian_of(side: npt.ArrayLike | Moments | Gaussian, name: str) -> Gaussian:
    """The normal distribution of one side of a distance, checked. Raises and warns as `frechet_distance`."""
    if isinstance(side, Gaussian):
        return side
    features = None
    if isinstance(side, Moments):
        moments = side
    else:
        features = checked_features(side, name, at_least=2)
        moments = Moments.of(features)
    if moments.n > 1 and moments.is_constant:
        refuse_or_warn_of_constant(name, moments.n)
    if 1 < moments.n <= moments.dim:
        warnings.warn(
            f"{name}: {moments.n} samples for {moments.dim} features leave the covariance singular, and the Fréchet "
            f"distance biased upwards. Draw more than {moments.dim} (the paper draws 50,000), use an extractor with "
            "fewer features, or use kid, which is unbiased",
            FewSamples,
            stacklevel=3,
        )
    if features is None or moments.n > moments.dim:
        return moments.gaussian
    deviations = features.astype(np.float64) - moments.mean
    return Gaussian(moments.mean, moments.cov, deviations.T / np.sqrt(moments.n - 1))
