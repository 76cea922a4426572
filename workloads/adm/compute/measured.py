"""Forward operations counted on the network itself: all products PyTorch is asked for, on tensors without data."""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from adm.compute.network import NetworkCost
from adm.config import ModelConfig
from adm.models import build


def measured_cost(config: ModelConfig) -> NetworkCost:
    """The same figures as `network_cost`, from one forward pass on the meta device. No memory, no arithmetic."""
    with torch.device("meta"), torch.no_grad():
        model = build(config).eval()
        side, channels = config.image_size, config.in_channels
        x, t = torch.empty(1, channels, side, side), torch.empty(1)
        y = None if config.num_classes is None else torch.empty(1, dtype=torch.long)
        low = config.low_res_size
        low_res = None if low is None else torch.empty(1, channels, low, low)
        with FlopCounterMode(display=False) as counter:
            model(x, t, y=y, low_res=low_res)
    return NetworkCost(
        flops=counter.get_total_flops(),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
    )
