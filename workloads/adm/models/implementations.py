"""The three functions in which the naive and the optimized network differ (table 7). Same weights, same outputs.

Legend: N images, C channels, L = H·W pixels, `heads` heads of `ch` channels each, so C = heads·ch.
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor, nn


class Implementation(Protocol):
    """How a network computes; what it computes is in layers.py and attention.py."""

    memory_format: torch.memory_format

    def norm_silu(self, norm: nn.Module, x: Tensor, scale: Tensor | None = None, shift: Tensor | None = None) -> Tensor:
        """SiLU(GroupNorm(x)), or SiLU(GroupNorm(x)·(1 + scale) + shift). x (N, C, H, W); scale, shift (N, C, 1, 1)."""

    def pointwise(self, conv: nn.Conv1d, x: Tensor) -> Tensor:
        """A 1×1 convolution: (N, C, L) → (N, C', L)."""

    def attention(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """softmax(qᵀk/√ch)·v with the softmax in float32. q, k, v (N, heads, ch, L) → (N, C, L)."""


class Naive:
    """Plain modules on NCHW tensors, one operation after the other."""

    memory_format = torch.contiguous_format

    def norm_silu(self, norm: nn.Module, x: Tensor, scale: Tensor | None = None, shift: Tensor | None = None) -> Tensor:
        h = norm(x)
        if scale is not None and shift is not None:
            h = h * (1 + scale) + shift
        return nn.functional.silu(h)

    def pointwise(self, conv: nn.Conv1d, x: Tensor) -> Tensor:
        return conv(x)

    def attention(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        # Half of the 1/√ch to each side, so that their product stays within fp16.
        half_scale = 1 / math.sqrt(math.sqrt(q.shape[2]))
        logits = (q * half_scale).transpose(2, 3) @ (k * half_scale)
        weights = torch.softmax(logits.float(), dim=-1).to(logits.dtype)
        return (v @ weights.transpose(2, 3)).flatten(1, 2)


class Optimized:
    """Channels-last tensors, on which a pixel's channels are one row of a matrix, and fused attention."""

    memory_format = torch.channels_last

    def norm_silu(self, norm: nn.Module, x: Tensor, scale: Tensor | None = None, shift: Tensor | None = None) -> Tensor:
        h = norm(x)
        if scale is not None and shift is not None:
            h = torch.addcmul(shift, h, 1 + scale)
        return nn.functional.silu(h)

    def pointwise(self, conv: nn.Conv1d, x: Tensor) -> Tensor:
        return nn.functional.linear(x.transpose(1, 2), conv.weight[:, :, 0], conv.bias).transpose(1, 2)

    def attention(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        h = nn.functional.scaled_dot_product_attention(q.transpose(2, 3), k.transpose(2, 3), v.transpose(2, 3))
        return h.transpose(1, 2).flatten(2).transpose(1, 2)


IMPLEMENTATIONS: dict[str, Implementation] = {"naive": Naive(), "optimized": Optimized()}
