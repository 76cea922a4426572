"""What the solvers of the probability-flow ODE share: the noise levels of a run, and the x̂_0 that a network predicts.

Legend: x_t = α x_0 + σ ε, for whatever α and σ a process has; λ = log α/σ, half the log signal-to-noise ratio; from one
level to the next, h is the difference of their λ. Coefficients are numbers in float64; x and x̂_0 (N, C, H, W).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from adm.diffusion.guidance import guided_prediction
from adm.diffusion.loops import Progress
from adm.diffusion.process import CondFn, Kwargs, Model, Process


@dataclass(frozen=True)
class Level:
    """A noise level at which a run stops."""

    index: int
    """The respaced step; −1 for the data."""
    alpha: float
    sigma: float

    @property
    def log_snr(self) -> float:
        """λ = log α/σ: infinite for the data, and for pure noise with the other sign."""
        if self.sigma == 0:
            return math.inf
        return math.log(self.alpha / self.sigma) if self.alpha > 0 else -math.inf

    @property
    def relative_sigma(self) -> float:
        """σ/α, the σ of EDM."""
        return self.sigma / self.alpha


DATA = Level(-1, 1.0, 0.0)


def levels(process: Process) -> list[Level]:
    """The levels of a run in order: from x_T through every step to the data, T + 1."""
    scales = zip(process.signal_scales.tolist(), process.noise_scales.tolist(), strict=True)
    return [*(Level(index, *both) for index, both in reversed(list(enumerate(scales)))), DATA]


def moves(process: Process, progress: Progress | None = None) -> Iterator[tuple[Level, Level]]:
    """Each step of a run: from where, to where. The last one leads to the data."""
    for done, move in enumerate(pairwise(levels(process)), 1):
        yield move
        if progress is not None:
            progress(done, process.num_timesteps)


def predict_x0(
    process: Process,
    model: Model,
    x: Tensor,
    at: Level,
    *,
    clip_denoised: bool = True,
    cond_fn: CondFn | None = None,
    model_kwargs: Kwargs | None = None,
) -> Tensor:
    """x̂_0 of x at a level, by whatever the network predicts; with cond_fn, that of equation 60."""
    t = torch.full((x.shape[0],), at.index, dtype=torch.int64, device=x.device)
    out = process.p_mean_variance(model, x, t, clip_denoised, model_kwargs=model_kwargs)
    if cond_fn is not None:
        out = guided_prediction(process, cond_fn, out, x, t, model_kwargs)
    return out.pred_xstart
