"""Attention over pixels, and the attention pool of the classifier.

Legend: N images, C channels, L = H·W pixels, `heads` heads of `ch` channels each, so C = heads·ch.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from adm.models.implementations import Implementation
from adm.models.layers import GroupNorm, add_residual, zero

QKVOrder = Literal["legacy", "new"]


def split_heads(qkv: Tensor, heads: int, order: QKVOrder) -> tuple[Tensor, Tensor, Tensor]:
    """(N, 3C, L) → q, k, v, each (N, heads, ch, L).

    The 3C channels are [heads, 3, ch] in the legacy order and [3, heads, ch] in the new one. Both have the same shape,
    so weights in the other order load without an error and compute something else.
    """
    N, C3, L = qkv.shape
    ch = C3 // (3 * heads)
    if order == "legacy":
        q, k, v = qkv.view(N, heads, 3, ch, L).unbind(2)
    else:
        q, k, v = qkv.view(N, 3, heads, ch, L).unbind(1)
    return q, k, v


class AttentionBlock(nn.Module):
    """Self-attention over all pixels, added to its input."""

    def __init__(
        self,
        channels: int,
        heads: int,
        order: QKVOrder,
        *,
        implementation: Implementation,
        rescale: bool = False,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.order = order
        self.implementation = implementation
        self.rescale = rescale
        self.norm = GroupNorm(channels)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = zero(nn.Conv1d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, C, H, W)."""
        how = self.implementation
        qkv = how.pointwise(self.qkv, self.norm(x).flatten(2))
        h = how.pointwise(self.proj_out, how.attention(*split_heads(qkv, self.heads, self.order)))
        return add_residual(x, h.view(x.shape), self.rescale)


class AttentionPool(nn.Module):
    """Pools a feature map into one vector: the mean of its pixels, as an extra token, attends to all of them.

    The qkv order is always the new one. `pooled` returns the vector, `forward` its projection to classes.
    """

    def __init__(
        self, resolution: int, channels: int, heads: int, out_channels: int, *, implementation: Implementation
    ) -> None:
        super().__init__()
        self.heads = heads
        self.implementation = implementation
        self.positional_embedding = nn.Parameter(torch.randn(channels, resolution**2 + 1) / channels**0.5)
        self.qkv_proj = nn.Conv1d(channels, 3 * channels, 1)
        self.c_proj = nn.Conv1d(channels, out_channels, 1)

    def pooled(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, C)."""
        tokens = x.flatten(2)
        tokens = torch.cat([tokens.mean(dim=2, keepdim=True), tokens], dim=2)
        tokens = tokens + self.positional_embedding.to(tokens.dtype)
        q, k, v = split_heads(self.implementation.pointwise(self.qkv_proj, tokens), self.heads, "new")
        # Only the first token is read, so only its query is needed.
        return self.implementation.attention(q[..., :1], k, v)[:, :, 0]

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, classes)."""
        return self.implementation.pointwise(self.c_proj, self.pooled(x)[:, :, None])[:, :, 0]
