"""UniPC (Zhao et al. 2023, arXiv 2302.04867): a predictor and a corrector of any order for the probability-flow ODE.

Here x̂_0 is the unknown function and B(h) = e^h − 1 ("B₂"), as the authors advise. The legend is that of
adm.diffusion.levels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from adm.diffusion.levels import Level, moves, predict_x0
from adm.diffusion.loops import Progress, StepNoise
from adm.diffusion.process import Model, Process

Past = Sequence[tuple[Level, Tensor]]
"""Levels, the latest one last, and x̂_0 at each."""


def unified(x: Tensor, past: Past, there: Level, arrived: Tensor | None = None) -> Tensor:
    """x_t from x_s at the latest level of `past`, of order p = len(past): UniP, or UniC if x̂_0 where UniP `arrived` is
    given. Algorithms 2 and 1, with x̂_0 instead of ε̂.

    x_t = σ_t/σ_s x_s − α_t (e^{−h} − 1) (x̂_0(s) + Σ_k ρ_k (x̂_0(k) − x̂_0(s)) / r_k), where r_k = (λ_k − λ_s) / h.
    """
    here, x0 = past[-1]
    h = there.log_snr - here.log_snr
    others = [((level.log_snr - here.log_snr) / h, other) for level, other in past[:-1]]
    if arrived is not None:
        others.append((1.0, arrived))
    rho = weights([r for r, _ in others], h)
    x0 = sum((w / r * (other - x0) for w, (r, other) in zip(rho, others, strict=True)), x0)
    return there.sigma / here.sigma * x - there.alpha * math.expm1(-h) * x0


def weights(r: Sequence[float], h: float) -> list[float]:
    """ρ with Σ_k ρ_k r_k^{i−1} = −h i! φ_{i+1}(−h) / (e^{−h} − 1) for i = 1 … len(r), where φ_0(z) = e^z and
    φ_{i+1}(z) = (φ_i(z) − 1/i!)/z: theorem 3.1. A single one is 1/2 for every h, as the authors have it."""
    if len(r) < 2:
        return [0.5] * len(r)
    right, factorial, phi = [], 1, math.expm1(-h) / -h - 1
    for i in range(1, len(r) + 1):
        right.append(factorial * phi / math.expm1(-h))
        factorial *= i + 1
        phi = phi / -h - 1 / factorial
    powers = np.array(r) ** np.arange(len(r))[:, None]
    return list(np.linalg.solve(powers, right).tolist())


@torch.no_grad()
def unipc_loop(
    process: Process, model: Model, noise: Tensor, *, order: int, progress: Progress | None = None, **options: Any
) -> Tensor:
    """UniPC-p, of order p + 1, from one evaluation a step. `options` are those of predict_x0.

    x̂_0 where the predictor arrived also corrects that step: it is not evaluated again there. The order is lower in the
    first steps, which have no history, and in the last ones.
    """
    x, departed, left = noise, noise, process.num_timesteps
    past: list[tuple[Level, Tensor]] = []
    for here, there in moves(process, progress):
        x0 = predict_x0(process, model, x, here, **options)
        if past:
            x = unified(departed, past, here, arrived=x0)
        past = [*past, (here, x0)][-min(order, left) :]
        departed, left = x, left - 1
        x = unified(departed, past, there)
    return x


def unipc_2_loop(
    process: Process, model: Model, noise: Tensor, *, step_noise: StepNoise | None = None, **options: Any
) -> Tensor:
    """UniPC-2, which the authors advise for guided images."""
    return unipc_loop(process, model, noise, order=2, **options)


def unipc_3_loop(
    process: Process, model: Model, noise: Tensor, *, step_noise: StepNoise | None = None, **options: Any
) -> Tensor:
    """UniPC-3, which the authors advise without guidance."""
    return unipc_loop(process, model, noise, order=3, **options)
