"""The layers of the paper's U-Net: timestep embedding, GroupNorm, resampling, and the residual block.

Attribute names are the keys of the published checkpoints. Legend: N images, C channels, H × W pixels, E embedding.
"""

from __future__ import annotations

import math
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn

from adm.models.implementations import Implementation
from adm.models.layout import NUM_GROUPS

M = TypeVar("M", bound=nn.Module)


def timestep_embedding(t: Tensor, dim: int) -> Tensor:
    """[cos(ω t), sin(ω t)] with ω_i = 10,000^(−i/⌊dim/2⌋), for i from 0 to ⌊dim/2⌋ − 1.

    t (N,), integer or not → (N, dim) float32, padded with a zero if `dim` is odd.
    """
    half = dim // 2
    frequencies = torch.exp(-math.log(10_000) / half * torch.arange(half, dtype=torch.float32, device=t.device))
    angles = t.float()[:, None] * frequencies
    return nn.functional.pad(torch.cat([angles.cos(), angles.sin()], dim=-1), (0, dim % 2))


def zero(module: M) -> M:
    """Set all parameters of a module to 0, so that a new residual branch adds nothing. Returns the module."""
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module


class GroupNorm(nn.GroupNorm):
    """Group normalisation in 32 groups, computed in float32 and returned in the input's type."""

    def __init__(self, channels: int) -> None:
        super().__init__(NUM_GROUPS, channels, eps=1e-5)

    def forward(self, x: Tensor) -> Tensor:
        if x.is_cpu and self.weight.dtype == torch.float32:
            # This kernel computes 16-bit inputs in float32 itself: casts would only add two copies.
            return super().forward(x)
        weight, bias = self.weight.float(), self.bias.float()
        return nn.functional.group_norm(x.float(), self.num_groups, weight, bias, self.eps).to(x.dtype)


def upsample(x: Tensor) -> Tensor:
    """Nearest-neighbour interpolation: (N, C, H, W) → (N, C, 2H, 2W)."""
    return nn.functional.interpolate(x, scale_factor=2, mode="nearest")


def downsample(x: Tensor) -> Tensor:
    """Means of 2×2 pixels: (N, C, H, W) → (N, C, H/2, W/2)."""
    return nn.functional.avg_pool2d(x, 2)


class Upsample(nn.Module):
    """Interpolation, followed by a convolution if `conv`."""

    def __init__(self, channels: int, conv: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1) if conv else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(upsample(x))


class Downsample(nn.Module):
    """A convolution of stride 2 if `conv`, else average pooling."""

    def __init__(self, channels: int, conv: bool) -> None:
        super().__init__()
        self.op = nn.Conv2d(channels, channels, 3, stride=2, padding=1) if conv else nn.AvgPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        return self.op(x)


class ResBlock(nn.Module):
    """The residual block, conditioned on the embedding of timestep and class.

    AdaGN(h, y) = y_s·GroupNorm(h) + y_b (section 3.1), where [y_s − 1, y_b] is a linear projection of the embedding.
    `adagn=False` is addition + GroupNorm (table 6). With `resample` it is BigGAN's up/downsampling block: both the
    branch, before its first convolution, and the skip connection are resampled. `rescale` divides the sum by √2.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        embed_channels: int,
        *,
        implementation: Implementation,
        dropout: float = 0.0,
        adagn: bool = True,
        resample: Literal["up", "down"] | None = None,
        rescale: bool = False,
    ) -> None:
        super().__init__()
        self.implementation = implementation
        self.adagn = adagn
        self.resample = {"up": upsample, "down": downsample, None: None}[resample]
        self.rescale = rescale
        self.in_layers = nn.Sequential(
            GroupNorm(in_channels), nn.SiLU(), nn.Conv2d(in_channels, out_channels, 3, padding=1)
        )
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(embed_channels, (2 if adagn else 1) * out_channels))
        self.out_layers = nn.Sequential(
            GroupNorm(out_channels),
            nn.SiLU(),
            nn.Dropout(dropout),
            zero(nn.Conv2d(out_channels, out_channels, 3, padding=1)),
        )
        same = in_channels == out_channels
        self.skip_connection = nn.Identity() if same else nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        """x (N, C, H, W), emb (N, E) → (N, C', H', W')."""
        norm_silu = self.implementation.norm_silu
        in_norm, _, in_conv = self.in_layers
        out_norm, _, dropout, out_conv = self.out_layers

        h = norm_silu(in_norm, x)
        if self.resample is not None:
            h, x = self.resample(h), self.resample(x)
        h = in_conv(h)
        condition = self.emb_layers(emb).to(h.dtype)[:, :, None, None]
        if self.adagn:
            scale, shift = condition.chunk(2, dim=1)
            h = norm_silu(out_norm, h, scale, shift)
        else:
            h = norm_silu(out_norm, h + condition)
        h = out_conv(dropout(h))
        return add_residual(self.skip_connection(x), h, self.rescale)


def add_residual(x: Tensor, h: Tensor, rescale: bool) -> Tensor:
    """x + h, or (x + h)/√2 if `rescale` (figure 5: rescaled residual connections)."""
    return (x + h) * math.sqrt(0.5) if rescale else x + h
