"""How a global batch is shared out, and what no worker group can train. No torch here: a sweep is planned with it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from adm.config import TrainConfig
from assay.errors import UserError


def check_group(config: Mapping[str, Any], execution: Mapping[str, Any], workers: int, gpus: float) -> None:
    """Raise UserError for a training that so many workers with so many GPUs each could not do."""
    train = TrainConfig(iterations=1, **config["train"], **execution["train"])
    if train.precision == "fp16" and gpus == 0:
        raise fp16_on_cpu("train.precision")
    micro_batches(train, workers)


def fp16_on_cpu(path: str) -> UserError:
    """There the backward pass of a convolution takes 700 times as long as bf16's."""
    return UserError(f"{path} fp16 is for GPUs; on a CPU use auto, bf16 or fp32")


def micro_batches(config: TrainConfig, world_size: int) -> int:
    """How many micro-batches a worker makes of its share: the same number on every worker, of one image at least.

    Raises UserError where the batch is too small for that.
    """
    share = math.ceil(config.batch_size / world_size)
    count = math.ceil(share / (config.micro_batch or share))
    if config.batch_size // world_size < count:
        raise UserError(
            f"batch_size {config.batch_size} is too small to be shared by {world_size} workers that take "
            f"{config.micro_batch or share} images at a time: use fewer workers, or a larger micro_batch"
        )
    return count
