"""Layers that the generator and the discriminator share.

Shapes: N images, C channels, H and W pixels, L = H·W positions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, linear, max_pool2d, normalize

FRESH_STD = 0.02
SETTLING_ITERATIONS = 50
"""Power iterations after which u and v have converged, for weights that no longer change."""


class SpectralNorm(nn.Module):
    """A weight over its spectral norm (https://arxiv.org/abs/1802.05957): W / (uᵀ W v), with W as a matrix (rows, …).

    u and v approximate the first singular vectors of W, and improve by one power iteration per use of the weight in
    training. They are buffers, so a stored network keeps its norm.
    """

    weight_u: Tensor
    weight_v: Tensor

    def __init__(self, *shape: int, bias: bool = True) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(shape[0])) if bias else None
        self.weight_orig = nn.Parameter(torch.empty(shape))
        nn.init.normal_(self.weight_orig, std=FRESH_STD)
        rows = self.weight_orig.flatten(1)
        self.register_buffer("weight_u", normalize(torch.randn(rows.shape[0], device=rows.device), dim=0))
        self.register_buffer("weight_v", normalize(torch.randn(rows.shape[1], device=rows.device), dim=0))

    @property
    def weight(self) -> Tensor:
        if self.training:
            self.iterate()
        # Cloned, because the next iteration overwrites u and v, which the gradient of this one still needs.
        u, v = self.weight_u.clone(), self.weight_v.clone()
        return self.weight_orig / torch.dot(u, torch.mv(self.weight_orig.flatten(1), v))

    @torch.no_grad()
    def iterate(self, count: int = 1) -> None:
        """Improve u and v by power iterations."""
        matrix = self.weight_orig.flatten(1)
        for _ in range(count):
            self.weight_v.copy_(normalize(torch.mv(matrix.t(), self.weight_u), dim=0))
            self.weight_u.copy_(normalize(torch.mv(matrix, self.weight_v), dim=0))


class Linear(SpectralNorm):
    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__(outputs, inputs, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight, self.bias)


class Embedding(SpectralNorm):
    """Row y of a table, for classes y (N,)."""

    def __init__(self, num_classes: int, features: int) -> None:
        super().__init__(num_classes, features, bias=False)

    def forward(self, y: Tensor) -> Tensor:
        return self.weight[y]


class Conv(SpectralNorm):
    """A convolution that keeps the size of the image."""

    def __init__(self, inputs: int, outputs: int, size: int, bias: bool = True) -> None:
        super().__init__(outputs, inputs, size, size, bias=bias)
        self._padding = size // 2

    def forward(self, x: Tensor) -> Tensor:
        return conv2d(x, self.weight, self.bias, padding=self._padding)


class SelfAttention(nn.Module):
    """x + γ·o, where o attends from every position to the image at half its size (https://arxiv.org/abs/1805.08318)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.snconv1x1_theta = Conv(channels, channels // 8, 1, bias=False)
        self.snconv1x1_phi = Conv(channels, channels // 8, 1, bias=False)
        self.snconv1x1_g = Conv(channels, channels // 2, 1, bias=False)
        self.snconv1x1_o_conv = Conv(channels // 2, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        queries = self.snconv1x1_theta(x).flatten(2)  # (N, C/8, L)
        keys = max_pool2d(self.snconv1x1_phi(x), 2).flatten(2)  # (N, C/8, L/4)
        values = max_pool2d(self.snconv1x1_g(x), 2).flatten(2)  # (N, C/2, L/4)
        shares = (queries.transpose(1, 2) @ keys).softmax(dim=2)  # (N, L, L/4)
        attended = (values @ shares.transpose(1, 2)).unflatten(2, x.shape[2:])
        return x + self.gamma * self.snconv1x1_o_conv(attended)


def orthogonal(network: nn.Module) -> None:
    """Initialise every matrix and convolution orthogonally, for training from scratch."""
    for weight in network.parameters():
        if weight.ndim > 1:
            nn.init.orthogonal_(weight)


def settle(network: nn.Module) -> None:
    """Iterate every u and v to the first singular vectors of its weight. Needed after weights were replaced."""
    for part in network.modules():
        if isinstance(part, SpectralNorm):
            part.iterate(SETTLING_ITERATIONS)
