"""Classifier guidance (appendix D; the paper's algorithms 1 and 2): the gradient of log p(y | x_t) changes the reverse
process."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import log_softmax

from adm.diffusion.process import CondFn, Kwargs, Model, Process
from adm.diffusion.results import Prediction
from adm.registries import GUIDANCE_PLACES


def classifier_gradient(classifier: Model, scale: float = 1.0) -> CondFn:
    """The cond_fn s ∇_x log p_φ(y | x_t), for a classifier that maps (x, t) to logits (N, classes).

    Called as cond_fn(x, t, y=labels, …); raises ValueError if y is missing. Row i of the gradient is that of image i's
    log-probability alone.
    """

    def cond_fn(x: Tensor, t: Tensor, y: Tensor | None = None, **_: Any) -> Tensor:
        if y is None:
            raise ValueError("classifier guidance needs the labels: pass model_kwargs={'y': labels}")
        with torch.enable_grad():
            x = x.detach().requires_grad_(True)
            log_probs = log_softmax(classifier(x, t).float(), dim=-1)
            log_prob = log_probs.gather(1, y.view(-1, 1)).sum()
            return torch.autograd.grad(log_prob, x)[0] * scale

    return cond_fn


def guided_mean(
    process: Process,
    cond_fn: CondFn,
    prediction: Prediction,
    x: Tensor,
    t: Tensor,
    model_kwargs: Kwargs | None = None,
    guidance_at: str = "x_t",
) -> Tensor:
    """μ + Σ g, where g = s ∇ log p_φ(y | x). Equation 56. `guidance_at` names the point where g is taken."""
    gradient = GUIDANCE_PLACES[guidance_at].load()(process, cond_fn, prediction, x, t, model_kwargs or {})
    return prediction.mean + prediction.variance * gradient.to(x.dtype)


def gradient_at_x_t(
    process: Process, cond_fn: CondFn, prediction: Prediction, x: Tensor, t: Tensor, model_kwargs: Kwargs
) -> Tensor:
    """g at the current x and its timestep, as in the paper's experiments."""
    return cond_fn(x, process.original_timesteps(t), **model_kwargs)


def gradient_at_mean(
    process: Process, cond_fn: CondFn, prediction: Prediction, x: Tensor, t: Tensor, model_kwargs: Kwargs
) -> Tensor:
    """g at μ, as in the derivation: μ estimates the *next* x, so the classifier is given the next timestep."""
    # The last step leads to the data, which has no timestep: 0 is the nearest.
    return cond_fn(prediction.mean, process.original_timesteps((t - 1).clamp(min=0)), **model_kwargs)


def guided_prediction(
    process: Process,
    cond_fn: CondFn,
    prediction: Prediction,
    x: Tensor,
    t: Tensor,
    model_kwargs: Kwargs | None = None,
) -> Prediction:
    """The prediction from ε̂ = ε_θ(x_t) − √(1−ᾱ_t) s ∇ log p_φ(y | x_t). Equation 60, for deterministic samplers."""
    gradient = cond_fn(x, process.original_timesteps(t), **(model_kwargs or {})).to(x.dtype)
    epsilon = process.epsilon_from_x0(x, t, prediction.pred_xstart)
    # √(1−ᾱ) is computed from ᾱ in x's own precision, as in ddim_sample and in the published code.
    epsilon = epsilon - (1 - process.at("alphas_cumprod", t, x)).sqrt() * gradient
    x0 = process.x0_from_epsilon(x, t, epsilon)
    return Prediction(
        process.q_posterior_mean(x0, x, t),
        prediction.variance,
        prediction.log_variance,
        x0,
    )
