"""The loop that trains diffusion models and classifiers alike.

Everything random in a step, its images, timesteps, noise and dropout, is a function of (seed, step), so a resumed run
goes on as if it had not stopped, and any number of workers sees the same global batches.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from adm.config import TrainConfig
from adm.data import Indices, Source, batch_indices, to_model_range
from adm.diffusion.timesteps import TimestepSampler, timestep_sampler
from adm.training.engine import TorchEngine
from adm.training.precision import resolve
from assay.errors import AssayError, UserError
from assay.workload import TrainContext

CHECKPOINT = "training.pt"
NOISE, TIMESTEPS, DROPOUT, FLIPS = 1, 2, 3, 4
"""What a step's generators are for: each has a stream of its own."""
LOG_POINTS = 200
"""How many points of the curve are kept, over the whole budget."""


@dataclass(frozen=True)
class Batch:
    """This worker's part of a global batch."""

    x0: Tensor
    """(n, C, H, W) in [-1, 1]."""
    y: Tensor
    """(n,) classes."""
    t: Tensor
    """(n,) timesteps."""
    weights: Tensor
    """(n,) that keep the expected loss that of uniform timesteps."""
    noise: Tensor
    """Shaped like x0."""


Objective = Callable[[nn.Module, Batch], dict[str, Tensor]]


def fit(
    ctx: TrainContext,
    model: nn.Module,
    config: TrainConfig,
    seed: int,
    source: Source,
    indices: Indices,
    num_timesteps: int,
    objective: Objective,
    flip: bool = False,
) -> TorchEngine:
    """Train up to ctx.amount iterations, from the last checkpoint if there is one. Returns the engine: weights, EMA.

    Raises UserError for a batch that the workers cannot share equally, AssayError where the loss is not a number.
    """
    if config.batch_size % ctx.world_size:
        raise UserError(f"batch_size {config.batch_size} cannot be shared equally by {ctx.world_size} workers")
    engine = TorchEngine(model, config, ctx.device, resolve(config.precision, ctx.device), ctx.world_size)
    timesteps = timestep_sampler(config.timestep_sampler, num_timesteps)
    first = 0
    if (found := ctx.latest_checkpoint()) is not None:
        first, folder = found
        state = torch.load(folder / CHECKPOINT, map_location="cpu", weights_only=True)
        engine.load(state["engine"])
        timesteps.load_state_dict(state["timesteps"])
    log_every = max(1, ctx.amount // LOG_POINTS)
    model.train()
    for step in range(first, ctx.amount):
        batch = draw(ctx, config.batch_size, seed, step, source, indices, timesteps, flip)

        def weighted(network: nn.Module, batch: Batch = batch) -> dict[str, Tensor]:
            terms = objective(network, batch)
            timesteps.update(batch.t, terms["loss"])
            return {**terms, "loss": terms["loss"] * batch.weights}

        report = engine.step(weighted)
        if report.taken and not math.isfinite(report.terms["loss"]):
            raise AssayError(
                f"the loss is {report.terms['loss']} at step {step + 1}; the last good checkpoint is kept. "
                "Try a smaller train.learning_rate, or train.precision fp32"
            )
        done = step + 1
        if done % log_every == 0 or done == ctx.amount:
            ctx.log(done, report.terms)
        ctx.progress(done, report.terms)
        if done % ctx.checkpoint_every == 0 or done == ctx.amount:
            ctx.save_checkpoint(done, lambda folder: _save(folder, engine, timesteps))
    return engine


def draw(
    ctx: TrainContext,
    batch_size: int,
    seed: int,
    step: int,
    source: Source,
    indices: Indices,
    timesteps: TimestepSampler,
    flip: bool = False,
) -> Batch:
    """This worker's images and random numbers of a step: its rows of the global batch."""
    share = batch_size // ctx.world_size
    mine = slice(ctx.rank * share, (ctx.rank + 1) * share)
    chosen = indices[batch_indices(seed, step, len(indices), batch_size)]
    x0 = to_model_range(source.images(chosen[mine]), ctx.device)
    generator = torch.Generator(ctx.device).manual_seed(_seed_of(NOISE, seed, step))
    t, weights = timesteps.sample(batch_size, generator=torch.Generator().manual_seed(_seed_of(TIMESTEPS, seed, step)))
    noise = torch.randn(batch_size, *x0.shape[1:], generator=generator, device=ctx.device)
    if flip:
        mirrored = torch.rand(batch_size, generator=torch.Generator().manual_seed(_seed_of(FLIPS, seed, step))) < 0.5
        x0 = torch.where(mirrored[mine].to(ctx.device)[:, None, None, None], x0.flip(3), x0)
    torch.manual_seed(_seed_of(DROPOUT, seed, step, ctx.rank))
    y = torch.from_numpy(source.labels[chosen[mine]]).to(ctx.device)
    return Batch(x0, y, t[mine].to(ctx.device), weights[mine].to(ctx.device), noise[mine])


def _seed_of(*parts: int) -> int:
    # The purpose comes first: SeedSequence takes (a, b) and (a, b, 0) for the same.
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _save(folder: Path, engine: TorchEngine, timesteps: TimestepSampler) -> None:
    torch.save({"engine": engine.state(), "timesteps": timesteps.state_dict()}, folder / CHECKPOINT)
