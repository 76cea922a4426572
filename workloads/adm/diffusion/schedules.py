"""Noise schedules, and every coefficient of the process that follows from them, in float64.

Legend: β_t, variance of the noise added by step t; α_t = 1 − β_t; ᾱ_t = α_0 ⋯ α_t. Step t=0 is nearest the data.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from torch import Tensor

from adm import respacing
from adm.registries import SCHEDULES
from assay.workload import load_attribute

Array = npt.NDArray[np.float64]
T = TypeVar("T", Array, Tensor)

COSINE_OFFSET = 0.008
MAX_BETA = 0.999
SIGMA_MIN, SIGMA_MAX = 0.002, 80.0
LAST_BETA = 1 - 2.0**-30
"""Of a zero terminal SNR: ᾱ_T is a billionth of ᾱ_{T−1}. All other steps are the published ones."""


def linear_betas(steps: int) -> Array:
    """β from 1e-4 to 0.02 at 1000 steps (Ho et al. 2020), scaled by 1000/steps so that ᾱ_T stays near 0. (steps,)"""
    scale = 1000 / steps
    return np.linspace(scale * 1e-4, scale * 0.02, steps, dtype=np.float64)


def cosine_betas(steps: int) -> Array:
    """β of ᾱ(u) ∝ cos²((u + s)/(1 + s) · π/2), clipped at 0.999 (Nichol & Dhariwal 2021, equation 17). (steps,)"""

    def alpha_bar(u: float) -> float:
        return math.cos((u + COSINE_OFFSET) / (1 + COSINE_OFFSET) * math.pi / 2) ** 2

    ratios = [alpha_bar((i + 1) / steps) / alpha_bar(i / steps) for i in range(steps)]
    return np.minimum(1.0 - np.array(ratios, dtype=np.float64), MAX_BETA)


def linear_zero_snr_betas(steps: int) -> Array:
    """linear_betas with a zero terminal SNR. (steps,)"""
    return zero_terminal_snr(linear_betas(steps))


def cosine_zero_snr_betas(steps: int) -> Array:
    """cosine_betas with a zero terminal SNR. (steps,)"""
    return zero_terminal_snr(cosine_betas(steps))


def zero_terminal_snr(betas: Array) -> Array:
    """√ᾱ shifted and scaled so that the first stays, and the last is 0: β of √ᾱ'_t = √ᾱ_0 (√ᾱ_t − √ᾱ_T)/(√ᾱ_0 − √ᾱ_T).

    Lin et al. 2023 (arXiv:2305.08891), algorithm 1: the model is then trained on the pure noise that sampling starts
    from. The last β is LAST_BETA instead of 1, so that every table is finite. (steps,)
    """
    if len(betas) < 2 or betas.max() >= 1:  # too few steps, which beta_schedule refuses
        return betas
    root = np.sqrt(np.cumprod(1.0 - betas))
    a_bar = (root[0] * (root - root[-1]) / (root[0] - root[-1])) ** 2
    rescaled = 1.0 - a_bar / np.concatenate([[1.0], a_bar[:-1]])
    return np.minimum(rescaled, LAST_BETA)


def karras_betas(steps: int) -> Array:
    """β of ᾱ_t = 1/(1 + σ_t²), with σ_t of karras_sigma. (steps,)"""
    a_bar = 1.0 / (1.0 + karras_sigma(np.arange(steps, dtype=np.float64), steps) ** 2)
    return 1.0 - a_bar / np.concatenate([[1.0], a_bar[:-1]])


def karras_sigma(t: T, steps: int) -> T:
    """σ = √(1−ᾱ)/√ᾱ at real t in [0, steps − 1], from 0.002 to 80. EDM, arXiv 2206.00364, equation 5."""
    return respacing.karras_sigma(t / max(steps - 1, 1), SIGMA_MIN, SIGMA_MAX)


def karras_timestep(sigma: T, steps: int) -> T:
    """The real t at which karras_sigma is σ."""
    return (steps - 1) * respacing.karras_share(sigma, SIGMA_MIN, SIGMA_MAX)


BETWEEN: dict[str, Callable[[Tensor], Tensor]] = {
    "alphas_cumprod": lambda sigma: 1 / (1 + sigma**2),
    "sqrt_alphas_cumprod": lambda sigma: (1 + sigma**2) ** -0.5,
    "sqrt_one_minus_alphas_cumprod": lambda sigma: sigma * (1 + sigma**2) ** -0.5,
    "sqrt_recip_alphas_cumprod": lambda sigma: (1 + sigma**2) ** 0.5,
    "sqrt_recipm1_alphas_cumprod": lambda sigma: sigma,
}
"""The coefficients of a single noise level σ. All others are of a step from one level to the next."""


def between(name: str, steps: int, coefficient: str, t: Tensor) -> Tensor:
    """A coefficient at real t, (N,). Raises ValueError for a schedule without σ between its steps, and for a
    coefficient of a whole step."""
    sigma = SCHEDULES[name].sigma
    if sigma is None or coefficient not in BETWEEN:
        raise ValueError(f"the {name} schedule has no {coefficient} between its steps")
    return BETWEEN[coefficient](load_attribute(sigma)(t, steps))


def beta_schedule(name: str, steps: int) -> Array:
    """β_t of the named schedule, float64 (steps,). Raises ValueError for an unknown name, too few steps, or a schedule
    that returns something else."""
    schedule = SCHEDULES[name]
    if steps < 1:
        raise ValueError(f"a diffusion needs at least 1 step, got {steps}")
    betas: Array = schedule.load()(steps)
    if betas.shape != (steps,) or betas.dtype != np.float64 or not (betas > 0).all():
        raise ValueError(
            f"the {name} schedule ({schedule.path}) returned {betas.dtype} {betas.shape} from {betas.min():.3g}; "
            f"allowed: float64 ({steps},), every β above 0"
        )
    if betas.max() >= 1:
        raise ValueError(
            f"a {name} schedule of {steps} steps reaches β = {betas.max():.3g}, which must stay below 1: "
            f"use more steps ({name} needs {schedule.least_steps}), or respace a longer process"
        )
    return betas


def respace_betas(betas: Array, kept: Sequence[int]) -> Array:
    """β of the process that visits only the steps `kept` (ascending), with the same ᾱ at each. (len(kept),)"""
    alphas_cumprod = np.cumprod(1.0 - betas)[np.asarray(kept, dtype=np.int64)]
    previous = np.concatenate([[1.0], alphas_cumprod[:-1]])
    return 1.0 - alphas_cumprod / previous


def relative_sigmas(betas: Array) -> Array:
    """σ = √(1−ᾱ)/√ᾱ, the noise relative to the signal, at each step of β. Ascending. (T,)"""
    alphas_cumprod = np.cumprod(1.0 - betas)
    return np.sqrt((1.0 - alphas_cumprod) / alphas_cumprod)


def timesteps_at(betas: Array, sigmas: Array) -> Array:
    """The fractional steps at which the process of β has relative noise `sigmas`, by interpolating log σ. (N,)"""
    return np.interp(np.log(sigmas), np.log(relative_sigmas(betas)), np.arange(len(betas), dtype=np.float64))


def betas_between(sigmas: Array) -> Array:
    """β of the process that visits the relative noise levels `sigmas`, ascending: ᾱ = 1/(1 + σ²) at each. (N,)"""
    alphas_cumprod = 1.0 / (1.0 + sigmas**2)
    return 1.0 - alphas_cumprod / np.concatenate([[1.0], alphas_cumprod[:-1]])


@dataclass(frozen=True, eq=False)
class Coefficients:
    """The coefficients of equations 1 to 6 and 13, and of DDIM; each field is float64 (T,)."""

    betas: Array
    alphas_cumprod: Array
    """ᾱ_t"""
    alphas_cumprod_prev: Array
    """ᾱ_{t−1}, and 1 at t=0."""
    alphas_cumprod_next: Array
    """ᾱ_{t+1}, and 0 at t=T−1."""
    sqrt_alphas_cumprod: Array
    sqrt_one_minus_alphas_cumprod: Array
    log_one_minus_alphas_cumprod: Array
    sqrt_recip_alphas_cumprod: Array
    sqrt_recipm1_alphas_cumprod: Array
    """√(1/ᾱ_t − 1)"""
    log_betas: Array
    posterior_variance: Array
    """β̃_t, 0 at t=0."""
    posterior_log_variance_clipped: Array
    """log β̃_t, with the value of t=1 at t=0, where β̃ is 0."""
    posterior_mean_x0: Array
    """√ᾱ_{t−1} β_t/(1−ᾱ_t), the factor of x_0 in equation 4."""
    posterior_mean_xt: Array
    """√α_t (1−ᾱ_{t−1})/(1−ᾱ_t), the factor of x_t in equation 4."""
    posterior_x0_from_previous: Array
    """1 / posterior_mean_x0: equation 4 solved for x_0."""
    posterior_xt_from_previous: Array
    """posterior_mean_xt / posterior_mean_x0: the factor of x_t in that."""
    fixed_large_variance: Array
    """β_t, with β̃_1 at t=0 for a better likelihood of the last step."""
    fixed_large_log_variance: Array

    @classmethod
    def of(cls, betas: Array) -> Coefficients:
        a_bar = np.cumprod(1.0 - betas, dtype=np.float64)
        prev = np.concatenate([[1.0], a_bar[:-1]])
        next_ = np.concatenate([a_bar[1:], [0.0]])
        posterior_variance = betas * (1.0 - prev) / (1.0 - a_bar)
        # A process of one step has no β̃_1, and β_0 is its only variance.
        first = posterior_variance[1:2] if len(betas) > 1 else betas
        mean_x0 = betas * np.sqrt(prev) / (1.0 - a_bar)
        mean_xt = (1.0 - prev) * np.sqrt(1.0 - betas) / (1.0 - a_bar)
        fixed_large = np.concatenate([first, betas[1:]])
        return cls(
            betas=betas,
            alphas_cumprod=a_bar,
            alphas_cumprod_prev=prev,
            alphas_cumprod_next=next_,
            sqrt_alphas_cumprod=np.sqrt(a_bar),
            sqrt_one_minus_alphas_cumprod=np.sqrt(1.0 - a_bar),
            log_one_minus_alphas_cumprod=np.log(1.0 - a_bar),
            sqrt_recip_alphas_cumprod=np.sqrt(1.0 / a_bar),
            sqrt_recipm1_alphas_cumprod=np.sqrt(1.0 / a_bar - 1),
            log_betas=np.log(betas),
            posterior_variance=posterior_variance,
            posterior_log_variance_clipped=np.log(np.concatenate([first, posterior_variance[1:]])),
            posterior_mean_x0=mean_x0,
            posterior_mean_xt=mean_xt,
            posterior_x0_from_previous=1.0 / mean_x0,
            posterior_xt_from_previous=mean_xt / mean_x0,
            fixed_large_variance=fixed_large,
            fixed_large_log_variance=np.log(fixed_large),
        )
