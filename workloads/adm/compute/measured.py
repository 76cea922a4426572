"""Forward operations counted on the network itself: all products PyTorch is asked for, on tensors without data."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from adm.compute.network import NetworkCost
from adm.config import ModelConfig
from adm.models import build

AVERAGE_POOL = torch.ops.aten.avg_pool2d


def measured_cost(config: ModelConfig) -> NetworkCost:
    """The same figures as `network_cost`, from one forward pass on the meta device. No memory, no arithmetic."""
    with torch.device("meta"), torch.no_grad():
        model = build(config).eval()
        side, channels = config.image_size, config.in_channels
        x, t = torch.empty(1, channels, side, side), torch.empty(1)
        y = None if config.num_classes is None else torch.empty(1, dtype=torch.long)
        low = config.low_res_size
        low_res = None if low is None else torch.empty(1, channels, low, low)
        with FlopCounterMode(display=False, custom_mapping={AVERAGE_POOL: _pooling}) as counter:
            model(x, t, y=y, low_res=low_res)
    pooling = counter.get_flop_counts()["Global"].get(AVERAGE_POOL, 0)
    return NetworkCost(
        flops=counter.get_total_flops() - pooling,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        pooling=pooling,
    )


def _pooling(x_shape: tuple[int, ...], kernel: list[int], *_: Any, **__: Any) -> int:
    """One operation for every input pixel: the additions, and the product in place of the one too many."""
    return math.prod(x_shape)
