"""Who takes an optimizer step: DeepSpeed with its fused Adam, or PyTorch alone, behind one small interface.

Weights stay in 32 bits in both, and are their own master copy: autocast computes in 16, so the network's first and last
layers keep all their digits, and a checkpoint of one engine is a checkpoint of the other.
"""

from __future__ import annotations

import warnings

import torch
from torch import nn

from adm.config import TrainConfig
from adm.registries import ENGINES
from adm.training.engines.engine import Engine, LossFn, StepReport
from adm.training.group import gather
from assay.errors import AssayWarning, UserError
from assay.workload import load_attribute

__all__ = ["Engine", "LossFn", "StepReport", "build"]


def build(model: nn.Module, config: TrainConfig, device: str, precision: str, micro_batches: int = 1) -> Engine:
    """The engine of a config for a model on its device. Called on every worker of the group.

    Raises UserError for one that cannot be had here; "auto" then warns and takes PyTorch's.
    """
    engine = ENGINES[config.engine]
    reason = None
    if engine.unavailable_reason is not None:
        reasons = gather(load_attribute(engine.unavailable_reason)(torch.device(device).type))
        # Anyone's: all must choose the same engine.
        reason = next((found for found in reasons if found is not None), None)
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
