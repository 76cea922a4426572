"""Images between images, in the latent space of DDIM (appendix H)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from adm.diffusion.loops import ddim_loop, ddim_reverse_loop
from adm.diffusion.process import CondFn, Model, Process


def angles(count: int) -> list[float]:
    """θ from 0 to π/2, both ends included."""
    if count < 2:
        raise ValueError(f"an interpolation has at least its 2 ends, got count {count}")
    return [math.pi / 2 * i / (count - 1) for i in range(count)]


def interpolate(a: Tensor, b: Tensor, theta: float) -> Tensor:
    """cos(θ) a + sin(θ) b. Appendix H; keeps unit variance between independent latents, as a straight line does not."""
    if theta == 0.0:
        return a
    # cos(π/2) is 6e-17 in floating point: the far end is b itself.
    return b if theta == math.pi / 2 else math.cos(theta) * a + math.sin(theta) * b


def interpolated_guidance(cond_fn: CondFn, a: Any, b: Any, theta: float) -> CondFn:
    """Guidance towards cos(θ) log p(a | x) + sin(θ) log p(b | x), for labels a and b (N,). Appendix H."""

    def combined(x: Tensor, t: Tensor, y: Tensor | None = None, **kwargs: Any) -> Tensor:
        return interpolate(cond_fn(x, t, y=a, **kwargs), cond_fn(x, t, y=b, **kwargs), theta)

    return combined


def interpolate_images(
    process: Process,
    model: Model,
    first: Tensor,
    second: Tensor,
    thetas: Sequence[float],
    *,
    num_steps: int | None = None,
    **options: Any,
) -> Tensor:
    """Encode two batches of images, blend their latents, decode: (len(thetas), N, C, H, W). Appendix H.

    The ends are reconstructions, not the images. `num_steps` of encoding are T−1 by default; `options`, such as
    model_kwargs and cond_fn, go to both directions.
    """
    latents = [ddim_reverse_loop(process, model, image, num_steps=num_steps, **options) for image in (first, second)]
    # All T steps end beyond the last index; decoding starts at it.
    start = None if num_steps is None else min(num_steps, process.num_timesteps - 1)
    decoded = [
        ddim_loop(process, model, noise=interpolate(latents[0], latents[1], theta), start=start, **options)
        for theta in thetas
    ]
    return torch.stack(decoded)
