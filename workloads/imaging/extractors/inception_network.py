"""The layers of Inception-v3 as in TensorFlow's graph of 2015-12-05, the network that FID is defined by.

Szegedy et al. (2016), "Rethinking the Inception architecture for computer vision", https://arxiv.org/abs/1512.00567.
Keys of the state dict are those of its PyTorch port, https://github.com/mseitzer/pytorch-fid. Unlike later versions,
mean pools ignore padding, the last block uses max pooling, and there are 1008 logits.

Legend: x (N, C, H, W). A block's docstring gives its H × W.
"""

from __future__ import annotations

import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

BATCH_NORM_EPSILON = 1e-3
SPATIAL_CHANNELS = 7
"""Used from the 192 of Mixed_6d.branch1x1: 7 channels of 17 × 17 pixels are about as many features as `pool`."""


class Trunk(NamedTuple):
    """Features of N images before the logits."""

    pool: Tensor  # (N, 2048), the mean over the last block's 8 × 8 pixels
    spatial: Tensor  # (N, 2023), 17 × 17 pixels of 7 channels, the channel varying fastest


class Convolution(nn.Module):
    """Convolution, batch normalization, ReLU."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
        padding: int | tuple[int, int] = 0,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, padding, bias=False)
        self.bn: nn.Module = nn.BatchNorm2d(out_channels, eps=BATCH_NORM_EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.bn(self.conv(x)), inplace=True)

    @torch.no_grad()
    def fold(self) -> None:
        """Fold the normalization into the convolution, in float64: w γ/√(σ² + ε), and a bias β − μ γ/√(σ² + ε)."""
        bn = self.bn
        assert isinstance(bn, nn.BatchNorm2d)
        assert bn.running_mean is not None
        assert bn.running_var is not None
        scale = bn.weight.double() / (bn.running_var.double() + bn.eps).sqrt()
        weight = self.conv.weight
        weight.copy_(weight.double() * scale[:, None, None, None])
        self.conv.bias = nn.Parameter((bn.bias.double() - bn.running_mean.double() * scale).to(weight.dtype))
        self.bn = nn.Identity()


def mean_pool(x: Tensor) -> Tensor:
    """3 × 3 mean pooling at the same size, without the padding."""
    return functional.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


class BlockA(nn.Module):
    """35 × 35: 1×1, 5×5 and double 3×3."""

    def __init__(self, channels: int, pool_channels: int) -> None:
        super().__init__()
        self.branch1x1 = Convolution(channels, 64, 1)
        self.branch5x5_1 = Convolution(channels, 48, 1)
        self.branch5x5_2 = Convolution(48, 64, 5, padding=2)
        self.branch3x3dbl_1 = Convolution(channels, 64, 1)
        self.branch3x3dbl_2 = Convolution(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = Convolution(96, 96, 3, padding=1)
        self.branch_pool = Convolution(channels, pool_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        narrow = self.branch1x1(x)
        wide = self.branch5x5_2(self.branch5x5_1(x))
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([narrow, wide, double, self.branch_pool(mean_pool(x))], dim=1)


class BlockB(nn.Module):
    """35 × 35 to 17 × 17."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch3x3 = Convolution(channels, 384, 3, stride=2)
        self.branch3x3dbl_1 = Convolution(channels, 64, 1)
        self.branch3x3dbl_2 = Convolution(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = Convolution(96, 96, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), double, functional.max_pool2d(x, 3, stride=2)], dim=1)


class BlockC(nn.Module):
    """17 × 17: 7×7 as rows after columns, `width` channels between."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch1x1 = Convolution(768, 192, 1)
        self.branch7x7_1 = Convolution(768, width, 1)
        self.branch7x7_2 = Convolution(width, width, (1, 7), padding=(0, 3))
        self.branch7x7_3 = Convolution(width, 192, (7, 1), padding=(3, 0))
        self.branch7x7dbl_1 = Convolution(768, width, 1)
        self.branch7x7dbl_2 = Convolution(width, width, (7, 1), padding=(3, 0))
        self.branch7x7dbl_3 = Convolution(width, width, (1, 7), padding=(0, 3))
        self.branch7x7dbl_4 = Convolution(width, width, (7, 1), padding=(3, 0))
        self.branch7x7dbl_5 = Convolution(width, 192, (1, 7), padding=(0, 3))
        self.branch_pool = Convolution(768, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        narrow = self.branch1x1(x)
        single = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return torch.cat([narrow, single, double, self.branch_pool(mean_pool(x))], dim=1)


class BlockD(nn.Module):
    """17 × 17 to 8 × 8."""

    def __init__(self) -> None:
        super().__init__()
        self.branch3x3_1 = Convolution(768, 192, 1)
        self.branch3x3_2 = Convolution(192, 320, 3, stride=2)
        self.branch7x7x3_1 = Convolution(768, 192, 1)
        self.branch7x7x3_2 = Convolution(192, 192, (1, 7), padding=(0, 3))
        self.branch7x7x3_3 = Convolution(192, 192, (7, 1), padding=(3, 0))
        self.branch7x7x3_4 = Convolution(192, 192, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        wide = self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x)))
        parts = [self.branch3x3_2(self.branch3x3_1(x)), self.branch7x7x3_4(wide), functional.max_pool2d(x, 3, stride=2)]
        return torch.cat(parts, dim=1)


class BlockE(nn.Module):
    """8 × 8: branches that split into a row and a column. Mean pooling in the first such block, max in the last."""

    def __init__(self, channels: int, *, max_pool: bool) -> None:
        super().__init__()
        self.branch1x1 = Convolution(channels, 320, 1)
        self.branch3x3_1 = Convolution(channels, 384, 1)
        self.branch3x3_2a = Convolution(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3_2b = Convolution(384, 384, (3, 1), padding=(1, 0))
        self.branch3x3dbl_1 = Convolution(channels, 448, 1)
        self.branch3x3dbl_2 = Convolution(448, 384, 3, padding=1)
        self.branch3x3dbl_3a = Convolution(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3dbl_3b = Convolution(384, 384, (3, 1), padding=(1, 0))
        self.branch_pool = Convolution(channels, 192, 1)
        self.max_pool = max_pool

    def forward(self, x: Tensor) -> Tensor:
        single = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        parts = [
            self.branch1x1(x),
            self.branch3x3_2a(single),
            self.branch3x3_2b(single),
            self.branch3x3dbl_3a(double),
            self.branch3x3dbl_3b(double),
            self.branch_pool(functional.max_pool2d(x, 3, stride=1, padding=1) if self.max_pool else mean_pool(x)),
        ]
        return torch.cat(parts, dim=1)


class Network(nn.Module):
    """From normalized images, 299 × 299, to `Trunk`; and `fc`, whose weights map `pool` to logits."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Convolution(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = Convolution(32, 32, 3)
        self.Conv2d_2b_3x3 = Convolution(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = Convolution(64, 80, 1)
        self.Conv2d_4a_3x3 = Convolution(80, 192, 3)
        self.Mixed_5b = BlockA(192, 32)
        self.Mixed_5c = BlockA(256, 64)
        self.Mixed_5d = BlockA(288, 64)
        self.Mixed_6a = BlockB(288)
        self.Mixed_6b = BlockC(128)
        self.Mixed_6c = BlockC(160)
        self.Mixed_6d = BlockC(160)
        self.Mixed_6e = BlockC(192)
        self.Mixed_7a = BlockD()
        self.Mixed_7b = BlockE(1280, max_pool=False)
        self.Mixed_7c = BlockE(2048, max_pool=True)
        self.fc = nn.Linear(2048, 1008)

    def trunk(self, x: Tensor) -> Trunk:
        """(N, 3, 299, 299) in [-1, 1) to features."""
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = functional.max_pool2d(x, 3, stride=2)
        x = functional.max_pool2d(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)), 3, stride=2)
        x = self.Mixed_6a(self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x))))
        x = self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(x)))
        # branch1x1 comes first in the concatenation
        spatial = x[:, :SPATIAL_CHANNELS].permute(0, 2, 3, 1).flatten(1)
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(self.Mixed_6e(x))))
        return Trunk(x.float().mean(dim=(2, 3)), spatial.float())


def folded(network: Network) -> Network:
    """A faster copy in evaluation mode with the batch normalizations folded, which has other keys."""
    fast = copy.deepcopy(network).eval().requires_grad_(False)
    for module in fast.modules():
        if isinstance(module, Convolution):
            module.fold()
    return fast
