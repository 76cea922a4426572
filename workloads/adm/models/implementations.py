"""The operations in which the naive, optimized (table 7) and compiled network differ. Same weights, same outputs.

Legend: N images, C channels, L = H·W pixels, `heads` heads of `ch` channels each, so C = heads·ch.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Protocol

import torch
from torch import Tensor, nn

from adm.models.layout import CPU_FUSED_ATTENTION_PIXELS
from assay.errors import UserError

COMPILERS = ("c++", "g++", "clang++")


class Implementation(Protocol):
    """How a network computes; layers.py and attention.py define what it computes."""

    def arrange(self, x: Tensor) -> Tensor:
        """x (N, C, H, W) in the memory format that the network computes in."""

    def norm_silu(self, norm: nn.Module, x: Tensor, scale: Tensor | None = None, shift: Tensor | None = None) -> Tensor:
        """SiLU(GroupNorm(x)), or SiLU(GroupNorm(x)·(1 + scale) + shift). x (N, C, H, W); scale, shift (N, C, 1, 1)."""

    def pointwise(self, conv: nn.Conv1d, x: Tensor) -> Tensor:
        """A 1×1 convolution: (N, C, L) → (N, C', L)."""

    def attention(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """softmax(qᵀk/√ch)·v with the softmax in float32. q, k, v (N, heads, ch, L) → (N, C, L)."""

    def prepare(self, block: nn.Module) -> None:
        """Change how a new block of the network is called, in place. Its keys stay."""


class Naive:
    """Plain PyTorch modules on NCHW tensors, without fused kernels."""

    def arrange(self, x: Tensor) -> Tensor:
        return x.contiguous()

    def norm_silu(self, norm: nn.Module, x: Tensor, scale: Tensor | None = None, shift: Tensor | None = None) -> Tensor:
        h = norm(x)
        if scale is not None and shift is not None:
            h = h * (1 + scale) + shift
        return nn.functional.silu(h)

    def pointwise(self, conv: nn.Conv1d, x: Tensor) -> Tensor:
        return conv(x)

    def attention(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        # q and k are both scaled by ch^(−1/4), so that their product stays within the range of fp16.
        half_scale = 1 / math.sqrt(math.sqrt(q.shape[2]))
        logits = (q * half_scale).transpose(2, 3) @ (k * half_scale)
        weights = torch.softmax(logits.float(), dim=-1).to(logits.dtype)
        return (v @ weights.transpose(2, 3)).flatten(1, 2)

    def prepare(self, block: nn.Module) -> None:
        """Nothing is prepared."""


class Optimized:
    """The fastest operations with the same results on each device.

    On a GPU: channels-last tensors, in which the channels of a pixel are a row of a matrix, and one compiled kernel for
    GroupNorm, modulation and SiLU. On a CPU neither is faster: GroupNorm is up to 20 times slower in channels-last, and
    convolutions take as long (measured at 128×64×8×8, bf16). Only attention over many pixels is fused there.
    """

    def arrange(self, x: Tensor) -> Tensor:
        return x.contiguous(memory_format=torch.channels_last) if x.is_cuda else x.contiguous()

    def norm_silu(self, norm: nn.Module, x: Tensor, scale: Tensor | None = None, shift: Tensor | None = None) -> Tensor:
        if x.is_cuda and isinstance(norm, nn.GroupNorm):
            return _compiled_norm_silu()(x, norm.weight, norm.bias, norm.num_groups, norm.eps, scale, shift)
        return NAIVE.norm_silu(norm, x, scale, shift)

    def pointwise(self, conv: nn.Conv1d, x: Tensor) -> Tensor:
        if x.is_cuda:
            return nn.functional.linear(x.transpose(1, 2), conv.weight[:, :, 0], conv.bias).transpose(1, 2)
        return NAIVE.pointwise(conv, x)

    def attention(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if not q.is_cuda and k.shape[3] < CPU_FUSED_ATTENTION_PIXELS[q.element_size()]:
            return NAIVE.attention(q, k, v)
        q, k, v = (x.transpose(2, 3) for x in (q, k, v))
        if not q.is_cuda:  # of tensors that are not contiguous, PyTorch computes all logits
            q, k, v = q.contiguous(), k.contiguous(), v.contiguous()
        h = nn.functional.scaled_dot_product_attention(q, k, v)
        return h.transpose(1, 2).flatten(2).transpose(1, 2)

    def prepare(self, block: nn.Module) -> None:
        """Nothing is prepared."""


class Compiled(Optimized):
    """As `optimized`, with one region per block of the network that PyTorch compiles at its first call.

    Compiling needs a C++ compiler, on a GPU also Triton, and takes CPU minutes: it pays for long runs. The results are
    kept on disk (TORCHINDUCTOR_CACHE_DIR), so that later runs of the same network begin sooner.
    """

    def __init__(self, backend: str = "inductor") -> None:
        self._backend = backend

    def norm_silu(self, norm: nn.Module, x: Tensor, scale: Tensor | None = None, shift: Tensor | None = None) -> Tensor:
        # A kernel of its own would only be in the way of the compiler, which fuses more.
        if x.is_cuda and isinstance(norm, nn.GroupNorm) and torch.compiler.is_compiling():
            return channels_last_norm_silu(x, norm.weight, norm.bias, norm.num_groups, norm.eps, scale, shift)
        return super().norm_silu(norm, x, scale, shift)

    def prepare(self, block: nn.Module) -> None:
        """Compile it at its first call. Raises UserError without a compiler, before anything is computed."""
        if self._backend == "inductor" and not has_compiler():
            raise UserError(
                "model.implementation compiled needs a C++ compiler, but there is none of "
                f"{', '.join(COMPILERS)} here: install one, or use optimized"
            )
        # fullgraph: a block that is compiled in pieces is an error. Blocks share their code, but not their recompiles.
        block.compile(backend=self._backend, fullgraph=True, isolate_recompiles=True)


def has_compiler() -> bool:
    return "CXX" in os.environ or any(map(shutil.which, COMPILERS))


def channels_last_norm_silu(
    x: Tensor, weight: Tensor, bias: Tensor, groups: int, eps: float, scale: Tensor | None, shift: Tensor | None
) -> Tensor:
    """norm_silu on (N, H·W, groups, C/groups), so that the compiler fuses it and keeps the channels-last format."""
    N, C, H, W = x.shape
    h = x.permute(0, 2, 3, 1).reshape(N, H * W, groups, C // groups).float()
    variance, mean = torch.var_mean(h, dim=(1, 3), correction=0, keepdim=True)
    h = ((h - mean) * torch.rsqrt(variance + eps)).reshape(N, H, W, C).permute(0, 3, 1, 2)
    h = h * weight.float()[:, None, None] + bias.float()[:, None, None]
    if scale is not None and shift is not None:
        h = h * (1 + scale.float()) + shift.float()
    return nn.functional.silu(h).to(x.dtype)


@cache
def _compiled_norm_silu() -> Callable[..., Tensor]:
    """channels_last_norm_silu as one kernel, if PyTorch can compile for the GPU (its CUDA builds include Triton)."""
    if find_spec("triton") is None:
        return channels_last_norm_silu
    return torch.compile(channels_last_norm_silu, dynamic=True)


NAIVE = Naive()
IMPLEMENTATIONS: dict[str, Implementation] = {
    "naive": NAIVE,
    "optimized": Optimized(),
    "compiled": Compiled(),
}
