"""Converts images to the tensors that networks take, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assay.errors import UserError
from imaging.data.types import Images

if TYPE_CHECKING:
    from torch import Tensor


def to_model_range(images: Images, device: str = "cpu") -> Tensor:
    """uint8 (N, H, W, C) → float32 (N, C, H, W) in [-1, 1]."""
    import torch  # here, because data is checked without it

    return torch.tensor(images, device=device).permute(0, 3, 1, 2).float() / 127.5 - 1


def to_uint8(x: Tensor) -> Images:
    """Images (N, C, H, W) in [-1, 1] → uint8 (N, H, W, C), rounded down as the reference sampler does.

    Raises UserError for NaN and infinity, which would become black or white.
    """
    import torch

    if not bool(torch.isfinite(x).all()):
        raise UserError(
            "images contain NaN or infinity, as from a network whose training diverged: look at its loss, and try "
            "sampling in fp32"
        )
    scaled = ((x.float() + 1) * 127.5).clamp(0, 255).to(torch.uint8)
    return scaled.permute(0, 2, 3, 1).contiguous().cpu().numpy()
