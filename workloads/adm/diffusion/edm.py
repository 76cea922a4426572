"""The deterministic samplers of EDM (Karras et al. 2022, arXiv 2206.00364): Euler's and Heun's methods for

    dx̄/dσ̄ = (x̄ − x̂_0(x̄, σ̄)) / σ̄, where x̄ = x/α and σ̄ = σ/α    (equations 1 and 3, s(t) = 1)

The legend is that of adm.diffusion.levels. Their spacing of σ̄ is `sample.steps: karrasN`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from adm.diffusion.levels import DATA, Level, moves, predict_x0
from adm.diffusion.loops import Progress, StepNoise
from adm.diffusion.process import Model, Process


@torch.no_grad()
def edm_euler_loop(
    process: Process,
    model: Model,
    noise: Tensor,
    *,
    step_noise: StepNoise | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Tensor:
    """Euler's method, algorithm 1 without its correction: DDIM at η=0. `options` are those of predict_x0.

    x̄_t = x̄_s + (σ̄_t − σ̄_s) (x̄_s − x̂_0)/σ̄_s, which is x̂_0 + σ̄_t/σ̄_s (x̄_s − x̂_0): so written, no large numbers cancel
    where σ̄_s is large.
    """
    x = noise
    for here, there in moves(process, progress):
        x0 = predict_x0(process, model, x, here, **options)
        x = there.alpha * x0 + there.sigma / here.sigma * (x - here.alpha * x0)
    return x


@torch.no_grad()
def edm_heun_loop(
    process: Process,
    model: Model,
    noise: Tensor,
    *,
    step_noise: StepNoise | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Tensor:
    """Heun's method: each step is taken again along the mean of both ends' slopes. Algorithm 1. `options`: see
    predict_x0."""
    x = noise
    for here, there in moves(process, progress):
        first = slope(x, predict_x0(process, model, x, here, **options), here)
        arrived = along(x, first, here, there)
        if there is not DATA:  # where σ̄ = 0 there is no slope
            second = slope(arrived, predict_x0(process, model, arrived, there, **options), there)
            arrived = along(x, (first + second) / 2, here, there)
        x = arrived
    return x


def slope(x: Tensor, x0: Tensor, at: Level) -> Tensor:
    """dx̄/dσ̄ = (x̄ − x̂_0) / σ̄, which is ε̂."""
    return (x / at.alpha - x0) / at.relative_sigma


def along(x: Tensor, direction: Tensor, here: Level, there: Level) -> Tensor:
    """x̄_t = x̄_s + (σ̄_t − σ̄_s) d, as x_t."""
    return there.alpha * (x / here.alpha + (there.relative_sigma - here.relative_sigma) * direction)
