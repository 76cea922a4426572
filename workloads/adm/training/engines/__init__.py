"""Who takes an optimizer step: DeepSpeed with its fused Adam, or PyTorch alone, behind one small interface.

Weights stay in 32 bits in both, and are their own master copy: autocast computes in 16, so the network's first and last
layers keep all their digits, and a checkpoint of one engine is a checkpoint of the other.
"""

from __future__ import annotations

import warnings

import torch
from torch import nn

from adm.config import TrainConfig
from adm.training.engines.deepspeed_engine import DeepSpeedEngine, unavailable_reason
from adm.training.engines.engine import Engine, LossFn, StepReport
from adm.training.engines.torch_engine import TorchEngine
from adm.training.group import gather
from assay.errors import AssayWarning, UserError

__all__ = ["Engine", "LossFn", "StepReport", "build"]


def build(model: nn.Module, config: TrainConfig, device: str, precision: str, micro_batches: int = 1) -> Engine:
    """The engine of a config for a model on its device. Called on every worker of the group.

    Raises UserError where DeepSpeed is asked for and cannot be had; "auto" then warns and takes PyTorch's.
    """
    if config.engine == "torch":
        return TorchEngine(model, config, device, precision)
    reasons = gather(unavailable_reason(torch.device(device).type))
    reason = next((found for found in reasons if found is not None), None)  # anyone's: all must choose the same engine
    if reason is None:
        return DeepSpeedEngine(model, config, device, precision, micro_batches)
    if config.engine == "deepspeed":
        raise UserError(
            f"train.engine deepspeed: its operators cannot be built here ({reason}); install a C++ compiler and ninja, "
            "or set train.engine to auto or torch"
        )
    lost = f", and without zero_stage {config.zero_stage}" if config.zero_stage else ""
    warnings.warn(
        f"DeepSpeed's operators cannot be built here ({reason}): training with PyTorch's fused Adam{lost}",
        AssayWarning,
        stacklevel=2,
    )
    return TorchEngine(model, config, device, precision)
