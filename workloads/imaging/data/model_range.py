"""From bytes to what a network takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imaging.data.types import Images

if TYPE_CHECKING:
    from torch import Tensor


def to_model_range(images: Images, device: str = "cpu") -> Tensor:
    """uint8 (N, H, W, C) → float32 (N, C, H, W) in [-1, 1]."""
    import torch  # here, because data is checked without it

    return torch.tensor(images, device=device).permute(0, 3, 1, 2).float() / 127.5 - 1
