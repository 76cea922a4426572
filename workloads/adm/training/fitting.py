"""How many images a worker processes at a time: as its config says, or as its memory holds."""

from __future__ import annotations

import math
import warnings

import torch

from adm.compute.memory import training_memory
from adm.config import ModelConfig, TrainConfig
from adm.training.shares import micro_batches
from assay.costs.devices import USABLE_MEMORY
from assay.errors import AssayWarning, UserError
from assay.text import plural
from assay.workload import TrainContext
from assay.workload.group import gather

MICRO_BATCH = "train.micro_batch"
"""Path of the option in a stage's execution."""


def fitting_micro_batches(ctx: TrainContext, config: TrainConfig, network: ModelConfig | None, precision: str) -> int:
    """Micro-batches per step. For "auto" as few as the memory of every worker's device holds by our estimate; one on a
    CPU, and for networks whose need is unknown. Called on every worker of a group.

    Raises UserError if the batch is too small for its workers.
    """
    count = micro_batches(config, ctx.world_size)
    if config.micro_batch != "auto":
        return count
    room = min(gather(free_memory(ctx.device)))
    as_run = config.model_copy(update={"precision": precision})
    memory = None if network is None else training_memory(network, as_run, "train", "model")
    if memory is not None and math.isfinite(room):
        at_a_time = max(1, memory.most(room, ctx.world_size))
        count = min(_most(config, ctx), math.ceil(_share(config, ctx) / at_a_time))
    ctx.note(MICRO_BATCH, math.ceil(_share(config, ctx) / count))
    return count


def more_micro_batches(ctx: TrainContext, config: TrainConfig, count: int, why: str) -> int:
    """Twice as many, after memory ran out with `count`. Raises UserError if there are no smaller ones."""
    size = math.ceil(_share(config, ctx) / count)
    if count == _most(config, ctx):
        raise UserError(
            f"memory runs out with {plural(size, 'image')} at a time, which is the least: {why}. "
            "Set model.activation_checkpointing true, or use devices with more memory"
        )
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    more = min(_most(config, ctx), math.ceil(_share(config, ctx) / (size // 2)))
    smaller = math.ceil(_share(config, ctx) / more)
    ctx.note(MICRO_BATCH, smaller)
    if ctx.rank == 0:
        what = f"memory ran out with {size} images at a time; going on with {MICRO_BATCH} {smaller}"
        warnings.warn(what, AssayWarning, stacklevel=2)
    return more


def free_memory(device: str) -> float:
    """Bytes that tensors of this process can have on a device; infinity on a CPU, where our estimate is not needed."""
    if torch.device(device).type != "cuda":
        return math.inf
    free, _ = torch.cuda.mem_get_info(device)
    return (free + torch.cuda.memory_reserved(device)) * USABLE_MEMORY


def _share(config: TrainConfig, ctx: TrainContext) -> int:
    """Images per step of the worker with the most."""
    return math.ceil(config.batch_size / ctx.world_size)


def _most(config: TrainConfig, ctx: TrainContext) -> int:
    """The most micro-batches: the worker with the fewest images has one in each."""
    return config.batch_size // ctx.world_size
