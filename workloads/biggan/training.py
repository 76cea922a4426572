"""The train stage, a generator against a discriminator; and the stage that loads published weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import relu

from assay.errors import AssayError
from assay.workload import Checkpointed, StageContext, TrainContext, log_step
from assay.workload.group import average
from biggan import published
from biggan.config import DiscriminatorConfig, GeneratorConfig, TrainConfig
from biggan.discriminator import Discriminator
from biggan.generator import BigGAN, from_config
from biggan.layers import orthogonal, settle
from biggan.noise import truncated
from imaging.blank import allocate, blank
from imaging.contents import refuse_changed
from imaging.data import TrainingImages, data_config, open_planned, seed_of, split, to_model_range

WEIGHTS = "generator.safetensors"
NOISE, STANDING = 1, 2
"""Purposes of random numbers, each with a stream of its own."""


def train(ctx: TrainContext) -> Mapping[str, float]:
    """Train up to ctx.amount steps of the generator. Commits its averaged weights, with batch-norm statistics for every
    truncation, under the keys of the published weights.

    Raises AssayError if training diverges.
    """
    trainer = Trainer(ctx)
    for step in trainer.checkpoints.steps():
        log_step(ctx, step, trainer.step(step))
    weights = trainer.finished()
    if ctx.rank == 0:
        save_file(weights, ctx.output / WEIGHTS)
    return {}


class Trainer:
    """A training in progress."""

    def __init__(self, ctx: TrainContext) -> None:
        config = ctx.config
        self._ctx, self._seed = ctx, config["seed"]
        self._generator_config = GeneratorConfig(**config["generator"])
        self._config = TrainConfig(iterations=ctx.amount, **config["train"])
        c = self._generator_config
        torch.manual_seed(self._seed)
        self._generator = from_config(c).to(ctx.device).train()
        discriminator = Discriminator(DiscriminatorConfig(**config["discriminator"]), c.out_channels, c.num_classes)
        self._discriminator = discriminator.to(ctx.device).train()
        for network in (self._generator, self._discriminator):
            orthogonal(network)
        self._generator.use("batch")
        self._average = deepcopy(self._generator)
        source = open_planned(config["data"], c.image_size, c.out_channels, c.num_classes, threads=ctx.threads)
        indices, _ = split(source, 0.0)
        self._images = TrainingImages(
            source,
            indices,
            data_config(config["data"]),
            self._seed,
            self._config.batch_size,
            ctx.rank,
            ctx.world_size,
        )
        self._generator_optimizer = self._adam(self._generator, self._config.generator_learning_rate)
        self._discriminator_optimizer = self._adam(self._discriminator, self._config.discriminator_learning_rate)
        self.checkpoints = Checkpointed(
            ctx,
            generator=self._generator,
            discriminator=self._discriminator,
            average=self._average,
            generator_optimizer=self._generator_optimizer,
            discriminator_optimizer=self._discriminator_optimizer,
        )

    def _adam(self, network: nn.Module, learning_rate: float) -> torch.optim.Adam:
        betas = (self._config.beta1, self._config.beta2)
        return torch.optim.Adam(network.parameters(), learning_rate, betas, foreach=True)

    def step(self, step: int) -> dict[str, float]:
        """Train the discriminator, then the generator once. Steps count from 1. Returns the losses over all workers,
        the discriminator's in its last step."""
        drawn = self._noise(NOISE, step)
        for index in range(self._config.discriminator_steps):
            examples = self._images.read((step - 1) * self._config.discriminator_steps + index)
            real, y = to_model_range(examples.images, self._ctx.device), torch.from_numpy(examples.labels)
            d_loss = self._discriminator_step(real, y.to(self._ctx.device), *next(drawn))
        self._discriminator.requires_grad_(False)
        z, y = next(drawn)
        g_loss = -self._discriminator(self._generator(z, y), y).mean()
        self._descend(g_loss, self._generator, self._generator_optimizer)
        self._discriminator.requires_grad_(True)
        self._update_average()
        means = torch.stack([d_loss.detach(), g_loss.detach()])
        average([means])
        d_mean, g_mean = means.tolist()
        if not bool(torch.isfinite(means).all()):
            raise AssayError(
                f"the losses are {d_mean:g} and {g_mean:g} at step {step}; the last checkpoint is kept. Try smaller "
                "learning rates (train.generator_learning_rate, train.discriminator_learning_rate)"
            )
        return {"discriminator_loss": d_mean, "generator_loss": g_mean}

    def _discriminator_step(self, real: Tensor, real_y: Tensor, z: Tensor, y: Tensor) -> Tensor:
        """The hinge loss: E max(0, 1 − D(x, y)) + E max(0, 1 + D(G(z, y), y))."""
        with torch.no_grad():
            fake = self._generator(z, y)
        # In one pass, so that real and drawn images see the same spectral norm.
        of_real, of_fake = self._discriminator(torch.cat([real, fake]), torch.cat([real_y, y])).split(
            [len(real), len(fake)]
        )
        loss = relu(1 - of_real).mean() + relu(1 + of_fake).mean()
        self._descend(loss, self._discriminator, self._discriminator_optimizer)
        return loss

    def _descend(self, loss: Tensor, network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        average([weight.grad for weight in network.parameters() if weight.grad is not None])
        optimizer.step()

    @torch.no_grad()
    def _update_average(self) -> None:
        averages: list[Tensor] = list(self._average.parameters())
        weights: list[Tensor] = list(self._generator.parameters())
        torch._foreach_lerp_(averages, weights, 1 - self._config.ema_rate)

    def _noise(self, purpose: int, step: int) -> Iterator[tuple[Tensor, Tensor]]:
        """This worker's rows of successive batches (z, y), which depend on (purpose, seed, step) alone."""
        c, batch_size = self._generator_config, self._config.batch_size
        generator = torch.Generator().manual_seed(seed_of(purpose, self._seed, step))
        while True:
            z = torch.randn(batch_size, c.z_dim, generator=generator)
            y = torch.randint(c.num_classes, (batch_size,), generator=generator)
            yield z[self._images.mine].to(self._ctx.device), y[self._images.mine].to(self._ctx.device)

    def finished(self) -> dict[str, Tensor]:
        """The state dict of the averaged generator, with the spectral norms of the averaged weights, and standing
        statistics for every truncation."""
        model = self._average.eval()
        settle(model)
        for row in range(self._generator_config.n_stats):
            truncation = row / (self._generator_config.n_stats - 1)
            # All rows use the same noise, so that statistics change smoothly with the truncation.
            drawn = self._noise(STANDING, 0)
            noise = [next(drawn) for _ in range(self._config.standing_batches)]
            model.collect(row, [(truncation * truncated(z), y) for z, y in noise])
        return {key: value.cpu().contiguous() for key, value in model.state_dict().items()}


def load_weights(ctx: StageContext) -> Mapping[str, float]:
    """Load published weights. Raises UserError if the file changed since the sweep was planned, or does not fit."""
    path = Path(ctx.config["checkpoint"])
    refuse_changed(path, ctx.config["sha256"])
    save_file(published.read(path, GeneratorConfig(**ctx.config["generator"])), ctx.output / WEIGHTS)
    return {}


def load_generator(path: Path, config: Mapping[str, Any]) -> BigGAN:
    """The generator that a stage committed, in float32 on the CPU."""
    c = GeneratorConfig(**config)
    with blank():
        model = from_config(c)
    allocate(model)
    return published.load_published(model, published.read(path, c))
