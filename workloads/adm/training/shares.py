"""How a global batch is divided among workers. Imports no torch, so that plans can check it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from adm.config import TrainConfig
from assay.errors import UserError


def check_group(config: Mapping[str, Any], execution: Mapping[str, Any], workers: int, gpus: float) -> None:
    """Raise UserError if this many workers with this many GPUs each cannot do the training."""
    train = TrainConfig(iterations=1, **config["train"], **execution["train"])
    if train.precision == "fp16" and gpus == 0:
        raise fp16_on_cpu("train.precision")
    micro_batches(train, workers)


def fp16_on_cpu(path: str) -> UserError:
    """The error for fp16 on a CPU, where a convolution's backward pass takes 700 times as long as in bf16."""
    return UserError(f"{path} fp16 is for GPUs; on a CPU use auto, bf16 or fp32")


def micro_batches(config: TrainConfig, world_size: int) -> int:
    """Number of micro-batches per step, the same on every worker, each of at least one image. For "auto" the least,
    which is one.

    Raises UserError if the batch is too small for that.
    """
    share = math.ceil(config.batch_size / world_size)
    at_a_time = config.micro_batch if isinstance(config.micro_batch, int) else share
    count = math.ceil(share / at_a_time)
    if config.batch_size // world_size < count:
        raise UserError(
            f"batch_size {config.batch_size} is too small for {world_size} workers that take "
            f"{at_a_time} images at a time: use fewer workers, or a larger micro_batch"
        )
    return count
