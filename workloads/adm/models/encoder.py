"""The noise-aware classifier p(y | x_t): the down path of the U-Net and a pool (section 4, table 12)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from adm.config import ModelConfig
from adm.models.attention import AttentionPool
from adm.models.implementations import Implementation
from adm.models.layers import GroupNorm, zero
from adm.models.layout import SPATIAL_POOL_CHANNELS, Layout
from adm.models.trunk import Trunk, head_precision
from assay.errors import UserError


class Encoder(Trunk):
    """x_t and t to class logits.

    Pools: `attention` is the paper's; `adaptive` averages the last feature map; `spatial` and `spatial_v2` average the
    feature map after every block, concatenate the means, and add a hidden layer.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.pool = config.pool
        self.out = _head(self.layout, self.implementation)

    def forward(self, x: Tensor, t: Tensor, y: Tensor | None = None, low_res: Tensor | None = None) -> Tensor:
        """x (N, in_channels, H, W), t (N,) → logits (N, out_channels), in x's type."""
        if y is not None or low_res is not None:
            raise UserError("a classifier takes only x and t, since it predicts y")
        h = self._encode(x, t)
        with head_precision(x):
            return self.out(h.to(self.dtype)).to(x.dtype)

    def features(self, x: Tensor, t: Tensor) -> Tensor:
        """The input of the final projection to logits: x (N, in_channels, H, W), t (N,) → (N, D), in x's type.

        D is the width of the last block for the pools attention (its pooled token) and adaptive, else 2048.
        """
        h = self._encode(x, t)
        with head_precision(x):
            h = h.to(self.dtype)
            if self.pool == "attention":
                norm, silu, pool = self.out
                assert isinstance(pool, AttentionPool)
                return pool.pooled(silu(norm(h))).to(x.dtype)
            projection = -2 if self.pool == "adaptive" else -1
            return self.out[:projection](h).flatten(1).to(x.dtype)

    def _encode(self, x: Tensor, t: Tensor) -> Tensor:
        """The head's input: the middle block's feature map; for spatial pools, the means of all blocks', (N, D)."""
        emb = self.embed(t)
        h = self.arranged(x)
        spatial = self.pool.startswith("spatial")
        means: list[Tensor] = []
        for block in [*self.input_blocks, self.middle_block]:
            h = block(h, emb)
            if spatial:
                means.append(h.float().mean(dim=(2, 3)))
        return torch.cat(means, dim=1) if spatial else h


def _head(layout: Layout, implementation: Implementation) -> nn.Sequential:
    pool, ch, classes = layout.config.pool, layout.head_channels, layout.config.out_channels
    features, hidden = layout.head_features, SPATIAL_POOL_CHANNELS
    if pool == "attention":
        attention = AttentionPool(layout.head_resolution, ch, layout.pool_heads, classes, implementation=implementation)
        return nn.Sequential(GroupNorm(ch), nn.SiLU(), attention)
    if pool == "adaptive":
        mean = nn.AdaptiveAvgPool2d(1)
        return nn.Sequential(GroupNorm(ch), nn.SiLU(), mean, zero(nn.Conv2d(ch, classes, 1)), nn.Flatten())
    if pool == "spatial":
        return nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, classes))
    return nn.Sequential(nn.Linear(features, hidden), GroupNorm(hidden), nn.SiLU(), nn.Linear(hidden, classes))
