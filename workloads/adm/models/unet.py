"""The diffusion model ε_θ(x_t, t, y): the U-Net of section 3."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from adm.config import ModelConfig
from adm.models.layers import GroupNorm, zero
from adm.models.trunk import Trunk, head_precision
from assay.errors import UserError


class UNet(Trunk):
    """Down, middle, up; the output of each input block is concatenated to the input of its output block.

    A newly initialised network returns exactly 0.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.output_blocks = nn.ModuleList(
            self._block(block, self.layout.embed_channels) for block in self.layout.output_blocks
        )
        ch = self.layout.head_channels
        self.out = nn.Sequential(GroupNorm(ch), nn.SiLU(), zero(nn.Conv2d(ch, config.out_channels, 3, padding=1)))

    def forward(self, x: Tensor, t: Tensor, y: Tensor | None = None, low_res: Tensor | None = None) -> Tensor:
        """x (N, in_channels, H, W), t (N,), y if class-conditional → (N, out_channels, H, W), in x's type.

        y is classes (N,), or weights of their embeddings (N, num_classes), see `embed`.
        The first half of the channels is the prediction of ε; the second, if the variance is learned, is v.
        Raises UserError if y is missing or not expected, or if low_res is given.
        """
        if low_res is not None:
            raise UserError("low_res is given, but this model is not an upsampler (kind super_res)")
        return self.predict(x, t, y)

    def predict(self, x: Tensor, t: Tensor, y: Tensor | None) -> Tensor:
        emb = self.embed(t, y)
        h = self.arranged(x)
        skips: list[Tensor] = []
        for block in self.input_blocks:
            h = block(h, emb)
            skips.append(h)
        h = self.middle_block(h, emb)
        for block in self.output_blocks:
            h = block(torch.cat([h, skips.pop()], dim=1), emb)
        with head_precision(x):
            norm, _, conv = self.out
            h = conv(self.implementation.norm_silu(norm, h.to(self.dtype)))
        return h.to(x.dtype)
