"""The upsampling diffusion model (ADM-U, table 13)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from adm.models.unet import UNet
from assay.errors import UserError


class SuperRes(UNet):
    """A U-Net that also receives the low-resolution image, upsampled and concatenated to x."""

    def forward(self, x: Tensor, t: Tensor, y: Tensor | None = None, low_res: Tensor | None = None) -> Tensor:
        """As UNet.forward; low_res (N, in_channels, h, w) is upsampled bilinearly to x's H × W.

        Raises UserError if low_res is missing.
        """
        if low_res is None:
            raise UserError("an upsampler (kind super_res) needs low_res, the image to upsample")
        upsampled = nn.functional.interpolate(low_res, x.shape[2:], mode="bilinear", align_corners=False)
        return self.predict(torch.cat([x, upsampled.to(x.dtype)], dim=1), t, y)
