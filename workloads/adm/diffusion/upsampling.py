"""Two-stage sampling: a low-resolution image, and a diffusion model that upsamples it (table 13)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from adm.diffusion.loops import Loop, sample_loop
from adm.diffusion.process import Model, Process


def low_resolution(x0: Tensor, size: int) -> Tensor:
    """Inputs for training an upsampler, by mean over areas: x0 (N, C, H, W) → (N, C, size, size). As in the published
    super_res_train.py."""
    return interpolate(x0, (size, size), mode="area")


def upsample_loop(
    process: Process,
    model: Model,
    low_res: Tensor,
    size: int,
    noise: Tensor | None = None,
    *,
    loop: Loop = sample_loop,
    model_kwargs: dict[str, Any] | None = None,
    **options: Any,
) -> Tensor:
    """Upsample low_res (N, C, h, w) in [-1, 1] to images (N, C, size, size); the model receives `low_res=`.

    `options` are those of the loop. A cond_fn receives low_res too.
    """
    kwargs = {**(model_kwargs or {}), "low_res": low_res}
    if noise is None:
        noise = torch.randn(*low_res.shape[:2], size, size, device=low_res.device, dtype=low_res.dtype)
    return loop(process, model, noise=noise, model_kwargs=kwargs, **options)
