"""Communication between the workers of a training; a single worker gets its own values back.

`torch.distributed` is initialised before a train body is called. All workers must call these in the same order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd import Function

T = TypeVar("T")


def is_alone() -> bool:
    """Whether this worker has no others to talk to."""
    return not dist.is_initialized() or dist.get_world_size() == 1


def gather(value: T) -> list[T]:
    """Every worker's value, by rank."""
    if is_alone():
        return [value]
    values: list[T | None] = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values  # type: ignore[return-value]


def any_worker(flag: bool, device: str) -> bool:
    """Whether the flag is set on any worker. `device` is where this worker's tensors are."""
    if is_alone():
        return flag
    flags = torch.tensor(float(flag), device=device)
    dist.all_reduce(flags)
    return bool(flags > 0)


def average(tensors: Sequence[Tensor]) -> None:
    """Replace every tensor by its mean over workers, in one all-reduce."""
    if is_alone():
        return
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for tensor, part in zip(tensors, torch.split(flat, [t.numel() for t in tensors]), strict=True):
        tensor.copy_(part.view_as(tensor))


def mean_over_workers(tensor: Tensor) -> Tensor:
    """The mean of the workers' tensors. Gradients flow to all of them, as batch norm over workers needs it."""
    return tensor if is_alone() else _Mean.apply(tensor)  # type: ignore[no-untyped-call]


class _Mean(Function):
    """Its gradient is the mean of the workers' gradients, because the loss is the mean of their losses."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        mean = tensor.clone()
        average([mean])
        return mean

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        mean = gradient.clone()
        average([mean])
        return mean
