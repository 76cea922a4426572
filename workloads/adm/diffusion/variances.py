"""Σ and log Σ of p(x_{t−1} | x_t): fixed, or learned through v, the second half of the network's output.

Legend: v, x and returned tensors (N, C, H, W); t (N,), an index into the respaced steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from adm.diffusion.process import Process


def fixed_small(process: Process, v: None, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """Σ = β̃_t; its logarithm is clipped at t=0, where β̃ is 0."""
    return _fixed(process, "posterior_variance", "posterior_log_variance_clipped", x, t)


def fixed_large(process: Process, v: None, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """Σ = β_t."""
    return _fixed(process, "fixed_large_variance", "fixed_large_log_variance", x, t)


def _fixed(process: Process, name: str, log_name: str, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    return process.at(name, t, x).expand_as(x), process.at(log_name, t, x).expand_as(x)


def learned(process: Process, v: Tensor, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """Σ = exp(v)."""
    return v.exp(), v


def learned_range(process: Process, v: Tensor, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """Σ = exp(f log β_t + (1−f) log β̃_t), where f = (v+1)/2 for v in [-1, 1]. Section 2 of the paper."""
    fraction = (v + 1) / 2
    low, high = process.at("posterior_log_variance_clipped", t, x), process.at("log_betas", t, x)
    log_variance = fraction * high + (1 - fraction) * low
    return log_variance.exp(), log_variance
