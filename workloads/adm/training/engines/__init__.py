"""Optimizer steps by DeepSpeed with its fused Adam, or by PyTorch alone, with one interface.

In both, weights are kept in 32 bits, and autocast computes in 16. So the network's first and last layers keep their
precision, and a checkpoint of one engine can be used with the other.
"""

from __future__ import annotations

import warnings

import torch
from torch import nn

from adm.config import TrainConfig
from adm.registries import ENGINES
from adm.training.engines.engine import Engine, LossFn, RanOutOfMemory, StepReport
from assay.errors import AssayWarning, UserError
from assay.workload import load_attribute
from assay.workload.group import gather

__all__ = ["Engine", "LossFn", "RanOutOfMemory", "StepReport", "build"]


def build(model: nn.Module, config: TrainConfig, device: str, precision: str, micro_batches: int = 1) -> Engine:
    """The engine of a config for a model on its device. Called on every worker of the group.

    Raises UserError for an unavailable engine; "auto" warns and uses PyTorch instead.
    """
    engine = ENGINES[config.engine]
    reason = None
    if engine.unavailable_reason is not None:
        reasons = gather(load_attribute(engine.unavailable_reason)(torch.device(device).type))
        # One worker's reason is enough, since all must choose the same engine.
        reason = next((reason for reason in reasons if reason is not None), None)
    if reason is None:
        return engine.load()(model, config, device, precision, micro_batches)
    if engine.instead is None:
        others = " or ".join(name for name in ENGINES if name != config.engine)
        what = f"train.engine {config.engine}: {engine.trouble} ({reason})"
        raise UserError(f"{what}; {engine.remedy}, or set train.engine to {others}")
    instead = ENGINES[engine.instead]
    is_lost = config.zero_stage and not instead.shards_state
    lost = f", and without zero_stage {config.zero_stage}" if is_lost else ""
    warnings.warn(
        f"{engine.trouble} ({reason}): training with engine {engine.instead}{lost}", AssayWarning, stacklevel=2
    )
    return instead.load()(model, config, device, precision, micro_batches)
