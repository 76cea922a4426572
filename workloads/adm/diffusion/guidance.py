"""Guidance by a classifier (appendix D; the paper's algorithms 1 and 2), whose gradient of log p(y | x_t) changes the
reverse process; and away from another network, or from none of the labels, which changes the model itself.

Both are what a sampler takes, a cond_fn or a model, so they go with every sampler. Legend: as in process.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable
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


Pair = Callable[..., tuple[Tensor, Tensor]]
"""pair(x, t, **model_kwargs) -> the outputs of a model and of its guide, each (N, C or 2C, H, W)."""
Field = Callable[..., Tensor]
"""A model or a cond_fn."""
Interval = tuple[float, float]
"""The least and the largest timestep at which images are guided, as a model or a cond_fn receives them."""


def away_from_guide(pair: Pair, scale: float) -> Model:
    """The model ε̂ = ε_g + w (ε − ε_g), where ε_g is its guide's. w = 1 is the model's ε, and 0 the guide's, to the bit.

    A guide without labels: classifier-free guidance (Ho & Salimans, arXiv:2207.12598, equation 6, whose w is one less
    than ours). A weaker model as the guide: autoguidance (Karras et al., arXiv:2406.02507).

    The networks' outputs are combined, which is the same for ε, x_0, μ̃ and whatever else is linear in x_0 given x_t. A
    learned variance is the model's own.
    """

    def guided(x: Tensor, t: Tensor, **model_kwargs: Any) -> Tensor:
        output, away = pair(x, t, **model_kwargs)
        channels = x.shape[1]
        mean = torch.lerp(away[:, :channels], output[:, :channels], scale)
        return torch.cat([mean, output[:, channels:]], dim=1)

    return guided


def with_null_label(model: Model, null_label: int) -> Pair:
    """A model and, as its guide, itself without labels, in one pass over a batch of 2N."""

    def pair(x: Tensor, t: Tensor, y: Tensor | None = None, **model_kwargs: Tensor) -> tuple[Tensor, Tensor]:
        if y is None:
            raise ValueError("classifier-free guidance needs the labels: pass model_kwargs={'y': labels}")
        twice = {name: torch.cat([value, value]) for name, value in model_kwargs.items()}
        labels = torch.cat([y, torch.full_like(y, null_label)])
        output, away = model(torch.cat([x, x]), torch.cat([t, t]), y=labels, **twice).chunk(2)
        return output, away

    return pair


def with_guide(model: Model, guide: Model) -> Pair:
    """A model and another one as its guide, in a pass each."""
    return lambda x, t, **model_kwargs: (model(x, t, **model_kwargs), guide(x, t, **model_kwargs))


def within(interval: Interval, guided: Field, otherwise: Field) -> Field:
    """`guided` at timesteps within the interval, both ends included, and `otherwise` outside of it: limited interval
    guidance (Kynkäänniemi et al., arXiv:2404.07724). Only what is used is evaluated."""
    least, most = interval

    def limited(x: Tensor, t: Tensor, **model_kwargs: Any) -> Tensor:
        inside = (t >= least) & (t <= most)
        if inside.all():
            return guided(x, t, **model_kwargs)
        if not inside.any():
            return otherwise(x, t, **model_kwargs)
        rows = inside.reshape(-1, *[1] * (x.ndim - 1))
        return torch.where(rows, guided(x, t, **model_kwargs), otherwise(x, t, **model_kwargs))

    return limited


def rounded(interval: tuple[int, int]) -> Interval:
    """The interval for a cond_fn: timesteps between steps are rounded."""
    return interval[0] - 0.5, interval[1] + 0.5


def received(process: Process, interval: tuple[int, int]) -> Interval:
    """The interval for a model, whose timesteps may be others than those of the process (mean edm), which has all of
    its steps here. It ends halfway to the next step, so that rounding puts no step on the other side."""
    least, most = interval
    last = process.num_timesteps - 1
    steps = torch.tensor([least - 1, least, most, most + 1]).clamp(0, last)
    _, timesteps = process.inputs(torch.zeros(4, 1, 1, 1, dtype=torch.float64), steps)
    before, first, final, after = timesteps.tolist()
    return (before + first) / 2 if least > 0 else -math.inf, (final + after) / 2 if most < last else math.inf


def no_gradient(x: Tensor, t: Tensor, **_: Any) -> Tensor:
    """The cond_fn of images that are not guided."""
    return torch.zeros_like(x)


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
