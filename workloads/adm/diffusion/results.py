"""Return types of the functions of a diffusion: read `out.mean`, `out["mean"]`, or unpack in field order."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from imaging.named_fields import NamedFields


@dataclass(frozen=True, eq=False)
class Gaussian(NamedFields):
    """A diagonal Gaussian; each (N, C, H, W), variances broadcastable to the mean."""

    mean: Tensor
    variance: Tensor
    log_variance: Tensor


@dataclass(frozen=True, eq=False)
class Prediction(Gaussian):
    """p_θ(x_{t−1} | x_t), and the predicted x_0 that it was derived from."""

    pred_xstart: Tensor


@dataclass(frozen=True, eq=False)
class Step(NamedFields):
    """One step of a sampler: the next x, and the x_0 that was predicted for it; each (N, C, H, W)."""

    sample: Tensor
    pred_xstart: Tensor


@dataclass(frozen=True, eq=False)
class VlbTerms(NamedFields):
    """One term of equation 8 per image, (N,), in bits per dimension, and the predicted x_0, (N, C, H, W)."""

    output: Tensor
    pred_xstart: Tensor


@dataclass(frozen=True, eq=False)
class BitsPerDim(NamedFields):
    """Equation 8 in full. total_bpd and prior_bpd: (N,); the others (N, T), from t = T−1 down to t = 0."""

    total_bpd: Tensor
    prior_bpd: Tensor
    """L_T, equation 11."""
    vb: Tensor
    """L_{T−1} … L_0, equations 10 and 9, in bits per dimension."""
    xstart_mse: Tensor
    mse: Tensor
    """Squared error of ε_θ, averaged over pixels."""
