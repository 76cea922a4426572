"""Parameterisations of the mean of p(x_{t−1} | x_t): each derives x_0 from the network's prediction, and the training
target of that prediction from x_0, x_t and ε.

Legend: x0, x_t, noise and predictions (N, C, H, W); t (N,), an index into the respaced steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

if TYPE_CHECKING:
    from adm.diffusion.process import Process


class Mean(Protocol):
    @staticmethod
    def x0(process: Process, predicted: Tensor, x_t: Tensor, t: Tensor) -> Tensor: ...

    @staticmethod
    def target(process: Process, x0: Tensor, x_t: Tensor, t: Tensor, noise: Tensor) -> Tensor: ...

    @staticmethod
    def x0_scale(process: Process, t: Tensor, like: Tensor) -> Tensor:
        """|s_t| of x̂_0 − x_0 = s_t (prediction − target), (N, 1, 1, 1): how large an error of the prediction is as one
        of x_0. Losses that are weighted by t need it."""
        ...


class Preconditioned(Mean, Protocol):
    """A mean that also chooses what the network receives. Its registry entry says so: is_preconditioned."""

    @staticmethod
    def inputs(process: Process, x_t: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """(x, timestep) for the network, shaped like x_t and t."""
        ...


class Epsilon:
    """The network predicts the noise ε in x_t. Equation 3."""

    @staticmethod
    def x0(process: Process, predicted: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        return process.x0_from_epsilon(x_t, t, predicted)

    @staticmethod
    def target(process: Process, x0: Tensor, x_t: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        return noise

    @staticmethod
    def x0_scale(process: Process, t: Tensor, like: Tensor) -> Tensor:
        return process.at("sqrt_recipm1_alphas_cumprod", t, like)


class X0:
    """The network predicts x_0."""

    @staticmethod
    def x0(process: Process, predicted: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        return predicted

    @staticmethod
    def target(process: Process, x0: Tensor, x_t: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        return x0

    @staticmethod
    def x0_scale(process: Process, t: Tensor, like: Tensor) -> Tensor:
        return torch.ones_like(process.at("alphas_cumprod", t, like))


class V:
    """The network predicts v = √ᾱ_t ε − √(1−ᾱ_t) x_0, which tells x_0 at every noise level: it is ε near the data, and
    −x_0 where x_t is pure noise.

    Salimans & Ho 2022 (arXiv:2202.00512), section 4 and appendix D: x_0 = √ᾱ_t x_t − √(1−ᾱ_t) v.
    """

    @staticmethod
    def x0(process: Process, predicted: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        scale, noise_scale = "sqrt_alphas_cumprod", "sqrt_one_minus_alphas_cumprod"
        return process.at(scale, t, x_t) * x_t - process.at(noise_scale, t, x_t) * predicted

    @staticmethod
    def target(process: Process, x0: Tensor, x_t: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        scale, noise_scale = "sqrt_alphas_cumprod", "sqrt_one_minus_alphas_cumprod"
        return process.at(scale, t, x0) * noise - process.at(noise_scale, t, x0) * x0

    @staticmethod
    def x0_scale(process: Process, t: Tensor, like: Tensor) -> Tensor:
        return process.at("sqrt_one_minus_alphas_cumprod", t, like)


class Previous:
    """The network predicts the posterior mean μ̃ of x_{t−1}. Equation 4."""

    @staticmethod
    def x0(process: Process, predicted: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        return process.x0_from_previous(x_t, t, predicted)

    @staticmethod
    def target(process: Process, x0: Tensor, x_t: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        return process.q_posterior_mean(x0, x_t, t)

    @staticmethod
    def x0_scale(process: Process, t: Tensor, like: Tensor) -> Tensor:
        return process.at("posterior_x0_from_previous", t, like)


class EDM:
    """The network F predicts what is left of x_0 when its linear estimate from x_t is taken away, at unit variance:
    x̂_0 = c_skip x + c_out F(c_in x; ln σ / 4), where x = x_t/√ᾱ_t = x_0 + σ ε.

    Karras et al. 2022 (arXiv:2206.00364), equation 7 and table 1, of data with standard deviation σ_data. Their loss
    λ(σ) |x_0 − x̂_0|² with λ = 1/c_out² is the mean squared error of F: `mse`.
    """

    @staticmethod
    def inputs(process: Process, x_t: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        total = EDM._total(process, t, x_t)
        time = process.at("sqrt_recipm1_alphas_cumprod", t, x_t).log().flatten() / 4
        return process.at("sqrt_recip_alphas_cumprod", t, x_t) * x_t / total, time

    @staticmethod
    def x0(process: Process, predicted: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        return EDM._skipped(process, x_t, t) + EDM.x0_scale(process, t, x_t) * predicted

    @staticmethod
    def target(process: Process, x0: Tensor, x_t: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        return (x0 - EDM._skipped(process, x_t, t)) / EDM.x0_scale(process, t, x_t)

    @staticmethod
    def x0_scale(process: Process, t: Tensor, like: Tensor) -> Tensor:
        """c_out = σ σ_data / √(σ² + σ_data²)."""
        sigma = process.at("sqrt_recipm1_alphas_cumprod", t, like)
        return sigma * process.sigma_data / EDM._total(process, t, like)

    @staticmethod
    def _skipped(process: Process, x_t: Tensor, t: Tensor) -> Tensor:
        """c_skip x, with c_skip = σ_data² / (σ² + σ_data²)."""
        skip = (process.sigma_data / EDM._total(process, t, x_t)) ** 2
        return skip * process.at("sqrt_recip_alphas_cumprod", t, x_t) * x_t

    @staticmethod
    def _total(process: Process, t: Tensor, like: Tensor) -> Tensor:
        """√(σ² + σ_data²), the standard deviation of x."""
        return (process.at("sqrt_recipm1_alphas_cumprod", t, like) ** 2 + process.sigma_data**2).sqrt()
