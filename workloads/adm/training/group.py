"""Communication between the workers of a group. A single worker gets its own values back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")


def _alone() -> bool:
    return not dist.is_initialized() or dist.get_world_size() == 1


def gather(value: T) -> list[T]:
    """Every worker's value, by rank."""
    if _alone():
        return [value]
    values: list[T | None] = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values  # type: ignore[return-value]


def average(tensors: Sequence[Tensor]) -> None:
    """Replace each tensor by its mean over the workers, in one all-reduce."""
    if _alone():
        return
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for tensor, part in zip(tensors, torch.split(flat, [t.numel() for t in tensors]), strict=True):
        tensor.copy_(part.view_as(tensor))
