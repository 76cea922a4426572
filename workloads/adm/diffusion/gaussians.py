"""Divergences and log-likelihoods of diagonal Gaussians, in nats."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def mean_flat(x: Tensor) -> Tensor:
    """The mean over all but the first dimension, (N,)."""
    return x.flatten(1).mean(dim=1)


def normal_kl(mean1: Tensor, log_variance1: Tensor, mean2: Tensor, log_variance2: Tensor) -> Tensor:
    """KL(N₁ ‖ N₂) = ½ (−1 + log σ₂² − log σ₁² + σ₁²/σ₂² + (μ₁ − μ₂)²/σ₂²), elementwise, in nats."""
    ratio = (log_variance1 - log_variance2).exp()
    distance = (mean1 - mean2) ** 2 * (-log_variance2).exp()
    # Summed in the published order: in float32, rescaled_kl multiplies rounding errors by T.
    return 0.5 * (-1.0 + log_variance2 - log_variance1 + ratio + distance)


def approximate_normal_cdf(x: Tensor) -> Tensor:
    """Φ(x) ≈ ½ (1 + tanh(√(2/π) (x + 0.044715 x³))), Page 1977, within 2e-4.

    Published likelihoods use it; an exact erf would not reproduce them.
    """
    return 0.5 * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))


def discretized_gaussian_log_likelihood(x: Tensor, means: Tensor, log_scales: Tensor) -> Tensor:
    """log ∫ N(x; μ, σ²) over each pixel's bin, in nats: log p_θ(x_0 | x_1) of equation 9 (Ho et al. 2020, equation 13).

    `x` holds uint8 levels scaled to [-1, 1]: bins are 2/255 wide, and the outermost ones extend to infinity.
    """
    centred = x - means
    inverse_scale = (-log_scales).exp()
    cdf_plus = approximate_normal_cdf(inverse_scale * (centred + 1.0 / 255.0))
    cdf_minus = approximate_normal_cdf(inverse_scale * (centred - 1.0 / 255.0))
    tiny = 1e-12
    log_inside = (cdf_plus - cdf_minus).clamp(min=tiny).log()
    log_lowest = cdf_plus.clamp(min=tiny).log()
    log_highest = (1.0 - cdf_minus).clamp(min=tiny).log()
    return torch.where(x < -0.999, log_lowest, torch.where(x > 0.999, log_highest, log_inside))
