"""Interpolation between images in DDIM's latent space (appendix H)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from adm.diffusion.loops import Loop, ddim_loop, ddim_reverse_loop
from adm.diffusion.process import CondFn, Kwargs, Model, Process


def angles(count: int) -> list[float]:
    """`count` angles θ evenly spaced from 0 to π/2, both ends included. Raises ValueError for fewer than 2."""
    if count < 2:
        raise ValueError(f"an interpolation has at least 2 images, its ends; got count {count}")
    return [math.pi / 2 * i / (count - 1) for i in range(count)]


def interpolate(a: Tensor, b: Tensor, theta: float) -> Tensor:
    """cos(θ) a + sin(θ) b. Appendix H. Unlike linear interpolation, it keeps independent latents at unit variance."""
    if theta == 0.0:
        return a
    # cos(π/2) is 6e-17 in floating point, but the far end should be exactly b.
    return b if theta == math.pi / 2 else math.cos(theta) * a + math.sin(theta) * b


def interpolated_guidance(cond_fn: CondFn, a: Any, b: Any, theta: float) -> CondFn:
    """Guidance towards cos(θ) log p(a | x) + sin(θ) log p(b | x), for labels a and b (N,). Appendix H."""

    def combined(x: Tensor, t: Tensor, y: Tensor | None = None, **kwargs: Any) -> Tensor:
        return interpolate(cond_fn(x, t, y=a, **kwargs), cond_fn(x, t, y=b, **kwargs), theta)

    return combined


def interpolated_classes(a: Tensor, b: Tensor, theta: float, num_classes: int) -> Tensor:
    """Weights (N, num_classes) of the class embeddings in cos(θ) e_a + sin(θ) e_b, for classes (N,). Appendix H.

    The networks accept such a y in place of classes (N,).
    """
    return interpolate(one_hot(a, num_classes).float(), one_hot(b, num_classes).float(), theta)


def interpolate_images(
    process: Process,
    model: Model,
    first: Tensor,
    second: Tensor,
    thetas: Sequence[float],
    *,
    num_steps: int | None = None,
    labels: tuple[Tensor, Tensor] | None = None,
    num_classes: int | None = None,
    cond_fn: CondFn | None = None,
    model_kwargs: Kwargs | None = None,
    encode: Loop = ddim_reverse_loop,
    decode: Loop = ddim_loop,
    **options: Any,
) -> Tensor:
    """Encode two batches of images, interpolate their latents, decode: (len(thetas), N, C, H, W). Appendix H.

    With `labels`, the classes (N,) of the first and of the second images, class embeddings and the classifier's log
    probabilities are interpolated too, and each image is encoded with its own label. Without, `model_kwargs` and
    `cond_fn` are the same for both. The ends are reconstructions, not the images themselves. `num_steps` is the number
    of encoding steps (default T−1); `options` are passed to both `encode` and `decode`. Raises ValueError if only one
    of labels and num_classes is given.
    """
    if (labels is None) != (num_classes is None):
        raise ValueError("labels and num_classes must be given together: a class is the weight 1 among num_classes")

    def conditions(theta: float) -> dict[str, Any]:
        if labels is None or num_classes is None:
            return {"model_kwargs": model_kwargs, "cond_fn": cond_fn}
        y = interpolated_classes(*labels, theta, num_classes)
        guidance = None if cond_fn is None else interpolated_guidance(cond_fn, *labels, theta)
        return {"model_kwargs": {**(model_kwargs or {}), "y": y}, "cond_fn": guidance}

    a, b = (
        encode(process, model, image, num_steps=num_steps, **conditions(theta), **options)
        for image, theta in ((first, 0.0), (second, math.pi / 2))
    )
    # T steps of encoding end beyond the last index, and decoding starts at it.
    start = None if num_steps is None else min(num_steps, process.num_timesteps - 1)
    decoded = [
        decode(process, model, noise=interpolate(a, b, theta), start=start, **conditions(theta), **options)
        for theta in thetas
    ]
    return torch.stack(decoded)
