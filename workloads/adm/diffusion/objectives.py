"""Training losses (equations 8 to 12) and the variational lower bound (VLB), in bits per dimension."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from adm.diffusion.gaussians import discretized_gaussian_log_likelihood, mean_flat, normal_kl
from adm.diffusion.process import Kwargs, Model, Process, drawn
from adm.diffusion.results import BitsPerDim, VlbTerms

LN2 = math.log(2.0)


def losses(
    process: Process,
    model: Model,
    x0: Tensor,
    t: Tensor,
    noise: Tensor | None = None,
    model_kwargs: Kwargs | None = None,
) -> dict[str, Tensor]:
    """The process's training loss per image, (N,): "loss", and its terms "mse" and "vb" if it has them."""
    return process.objective(process, model, x0, t, drawn(noise, x0), model_kwargs)


def mse(
    process: Process, model: Model, x0: Tensor, t: Tensor, noise: Tensor, model_kwargs: Kwargs | None
) -> dict[str, Tensor]:
    """L_simple = |ε − ε_θ(x_t)|², equation 12, averaged over pixels; plus L_vlb if the variance is learned.

    The mean is detached in L_vlb, so that only Σ_θ learns from it.
    """
    x_t = process.q_sample(x0, t, noise)
    predicted, v = process.evaluate(model, x_t, t, model_kwargs)
    simple = mean_flat((process.target(x0, x_t, t, noise) - predicted) ** 2)
    if v is None:
        return {"loss": simple, "mse": simple}
    frozen = torch.cat([predicted.detach(), v], dim=1)
    vb = vlb_terms(process, lambda *_: frozen, x0, x_t, t, clip_denoised=False).output
    return {"loss": simple + vb, "mse": simple, "vb": vb}


def rescaled_mse(
    process: Process, model: Model, x0: Tensor, t: Tensor, noise: Tensor, model_kwargs: Kwargs | None
) -> dict[str, Tensor]:
    """L_simple + T/1000 · L_vlb."""
    terms = mse(process, model, x0, t, noise, model_kwargs)
    if "vb" not in terms:
        return terms
    vb = terms["vb"] * process.num_timesteps / 1000
    return {"loss": terms["mse"] + vb, "mse": terms["mse"], "vb": vb}


def min_snr(
    process: Process,
    model: Model,
    x0: Tensor,
    t: Tensor,
    noise: Tensor,
    model_kwargs: Kwargs | None,
    *,
    min_snr_gamma: float = 5.0,
) -> dict[str, Tensor]:
    """min(SNR_t, γ) |x_0 − x̂_0|², averaged over pixels; SNR_t = ᾱ_t/(1−ᾱ_t). Plus L_vlb if the variance is learned.

    Hang et al. 2023 (arXiv:2303.09556), section 3.4. The weight of "mse", the error of what the network predicts, is
    thus min(SNR_t, γ) for x_0, min(SNR_t, γ)/SNR_t for ε, and min(SNR_t, γ)/(SNR_t + 1) for v.
    """
    terms = mse(process, model, x0, t, noise, model_kwargs)
    snr = process.at("sqrt_recipm1_alphas_cumprod", t, x0) ** -2
    weight = (snr.clamp(max=min_snr_gamma) * process.x0_scale(t, x0) ** 2).flatten()
    return {**terms, "loss": weight * terms["mse"] + terms.get("vb", 0.0)}


def kl(
    process: Process, model: Model, x0: Tensor, t: Tensor, noise: Tensor, model_kwargs: Kwargs | None
) -> dict[str, Tensor]:
    """L_vlb alone."""
    x_t = process.q_sample(x0, t, noise)
    return {"loss": vlb_terms(process, model, x0, x_t, t, clip_denoised=False, model_kwargs=model_kwargs).output}


def rescaled_kl(
    process: Process, model: Model, x0: Tensor, t: Tensor, noise: Tensor, model_kwargs: Kwargs | None
) -> dict[str, Tensor]:
    """T · L_vlb: an unbiased estimate of the whole bound."""
    return {"loss": kl(process, model, x0, t, noise, model_kwargs)["loss"] * process.num_timesteps}


def vlb_terms(
    process: Process,
    model: Model,
    x0: Tensor,
    x_t: Tensor,
    t: Tensor,
    clip_denoised: bool = True,
    model_kwargs: Kwargs | None = None,
) -> VlbTerms:
    """KL(q(x_{t−1} | x_t, x_0) ‖ p_θ(x_{t−1} | x_t)), equation 10; at t=0 −log p_θ(x_0 | x_1), equation 9.

    Per image, (N,), in bits per dimension.
    """
    predicted = process.p_mean_variance(model, x_t, t, clip_denoised, model_kwargs=model_kwargs)
    true = process.q_posterior(x0, x_t, t)
    divergence = normal_kl(true.mean, true.log_variance, predicted.mean, predicted.log_variance)
    decoder = -discretized_gaussian_log_likelihood(x0, predicted.mean, 0.5 * predicted.log_variance)
    bound = torch.where(t == 0, mean_flat(decoder), mean_flat(divergence)) / LN2
    return VlbTerms(bound, predicted.pred_xstart)


def prior_bpd(process: Process, x0: Tensor) -> Tensor:
    """L_T = KL(q(x_T | x_0) ‖ N(0, I)) per image, (N,), in bits per dimension. Equation 11; needs no model."""
    t = torch.full((x0.shape[0],), process.num_timesteps - 1, dtype=torch.int64, device=x0.device)
    q = process.q_mean_variance(x0, t)
    zero = torch.zeros_like(x0)
    return mean_flat(normal_kl(q.mean, q.log_variance, zero, zero)) / LN2


@torch.no_grad()
def bits_per_dim(
    process: Process,
    model: Model,
    x0: Tensor,
    clip_denoised: bool = True,
    model_kwargs: Kwargs | None = None,
    *,
    noise: Tensor | Callable[[int], Tensor] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> BitsPerDim:
    """L_vlb = L_0 + … + L_T per image, in bits per dimension. Equation 8.

    `noise` is one tensor shaped like x0 for every t, or a function of t that returns one; if None, it is drawn.
    """
    total = process.num_timesteps
    bounds, x0_errors, epsilon_errors = [], [], []
    for index in range(total - 1, -1, -1):
        t = torch.full((x0.shape[0],), index, dtype=torch.int64, device=x0.device)
        fresh = drawn(noise(index) if callable(noise) else noise, x0)
        x_t = process.q_sample(x0, t, fresh)
        bound = vlb_terms(process, model, x0, x_t, t, clip_denoised, model_kwargs)
        bounds.append(bound.output)
        x0_errors.append(mean_flat((bound.pred_xstart - x0) ** 2))
        epsilon_errors.append(mean_flat((process.epsilon_from_x0(x_t, t, bound.pred_xstart) - fresh) ** 2))
        if progress is not None:
            progress(total - index, total)
    vb = torch.stack(bounds, dim=1)
    prior = prior_bpd(process, x0)
    return BitsPerDim(vb.sum(dim=1) + prior, prior, vb, torch.stack(x0_errors, 1), torch.stack(epsilon_errors, 1))
