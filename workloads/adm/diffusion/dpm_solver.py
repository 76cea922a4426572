"""DPM-Solver++ (Lu et al. 2022, arXiv 2211.01095; its midpoint is that of DPM-Solver, arXiv 2206.00927): the
probability-flow ODE, or the SDE, solved in λ with x̂_0 as the unknown function.

    x_t = σ_t/σ_s x_s + σ_t ∫ e^λ x̂_0(λ) dλ, from λ_s to λ_t

The legend is that of adm.diffusion.levels. Loops are called as those of adm.diffusion.loops, and return x_0. The last
step leads to λ = ∞, where every method is x_0 = x̂_0.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from adm.diffusion.levels import DATA, Level, levels, moves, predict_x0
from adm.diffusion.loops import Progress, StepNoise
from adm.diffusion.process import Model, Process, drawn


def first_order(x: Tensor, x0: Tensor, here: Level, there: Level) -> Tensor:
    """x_t = σ_t/σ_s x_s − α_t (e^{−h} − 1) D, with D = x̂_0 held constant: DDIM at η=0."""
    h = there.log_snr - here.log_snr
    return there.sigma / here.sigma * x - there.alpha * math.expm1(-h) * x0


def first_order_sde(x: Tensor, x0: Tensor, here: Level, there: Level, noise: Tensor) -> Tensor:
    """x_t = σ_t/σ_s e^{−h} x_s + α_t (1 − e^{−2h}) D + σ_t √(1 − e^{−2h}) ε: SDE-DPM-Solver++."""
    h = there.log_snr - here.log_snr
    variance = -math.expm1(-2 * h)
    kept = there.sigma / here.sigma * math.exp(-h)
    return kept * x + there.alpha * variance * x0 + there.sigma * math.sqrt(variance) * noise


class Extrapolation:
    """D = (1 + 1/2r) x̂_0(s) − 1/2r x̂_0(s'), with r = h'/h and s', h' of the step before: x̂_0 half a step ahead, on the
    line through both. Algorithm 2."""

    def __init__(self) -> None:
        self._last: tuple[Tensor, float] | None = None
        """x̂_0 where the step before began, and its h."""

    def __call__(self, x0: Tensor, here: Level, there: Level) -> Tensor:
        """D of this step; x̂_0 itself in the first step, and in the one to the data."""
        h = there.log_snr - here.log_snr
        last, self._last = self._last, (x0, h)
        if last is None or there is DATA:
            return x0
        before, h_before = last
        return x0 + (x0 - before) * h / (2 * h_before)


@torch.no_grad()
def dpmpp_2m_loop(
    process: Process,
    model: Model,
    noise: Tensor,
    *,
    step_noise: StepNoise | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Tensor:
    """DPM-Solver++(2M): order 2 from one evaluation a step. Algorithm 2. `options` are those of predict_x0."""
    x, halfway = noise, Extrapolation()
    for here, there in moves(process, progress):
        x0 = predict_x0(process, model, x, here, **options)
        x = first_order(x, halfway(x0, here, there), here, there)
    return x


@torch.no_grad()
def dpmpp_sde_2m_loop(
    process: Process,
    model: Model,
    noise: Tensor,
    *,
    step_noise: StepNoise | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Tensor:
    """SDE-DPM-Solver++(2M): the reverse SDE, with fresh noise in each step. `options` are those of
    predict_x0."""
    x, halfway = noise, Extrapolation()
    for here, there in moves(process, progress):
        x0 = predict_x0(process, model, x, here, **options)
        # As in ancestral sampling, the last step adds no noise, so none is requested.
        fresh = drawn(None if step_noise is None else step_noise(here.index), x) if there is not DATA else 0 * x
        x = first_order_sde(x, halfway(x0, here, there), here, there, fresh)
    return x


@torch.no_grad()
def dpmpp_2s_loop(
    process: Process,
    model: Model,
    noise: Tensor,
    *,
    step_noise: StepNoise | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Tensor:
    """DPM-Solver++(2S): order 2 without a history: x̂_0 is evaluated again halfway in λ. Algorithm 1 with r = 1/2.

    The network gets fractional timesteps there. `options` are those of predict_x0.
    """
    process = process.with_midpoints()
    stops = levels(process)
    starts, middles, ends = stops[::2], stops[1::2], [*stops[2::2], DATA]
    x = noise
    for done, (here, middle, there) in enumerate(zip(starts, middles, ends, strict=True), 1):
        x0 = predict_x0(process, model, x, here, **options)
        if there is not DATA:
            x0 = predict_x0(process, model, first_order(x, x0, here, middle), middle, **options)
        x = first_order(x, x0, here, there)
        if progress is not None:
            progress(done, len(starts))
    return x
