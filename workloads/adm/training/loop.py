"""The training loop of diffusion models, upsamplers and classifiers."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import torch
from torch import Tensor, nn

from adm.config import ModelConfig, TrainConfig
from adm.diffusion.timesteps import TimestepSampler, timestep_sampler
from adm.training import state
from adm.training.batches import DROPOUT, Batch, Batches
from adm.training.ema import EMA, PowerEMA
from adm.training.engines import Engine, RanOutOfMemory, StepReport, build
from adm.training.fitting import fitting_micro_batches, more_micro_batches
from adm.training.precision import choose
from assay.errors import AssayError
from assay.workload import TrainContext, is_checkpoint_due, log_step
from assay.workload.group import average, gather
from imaging.config import DataConfig
from imaging.data import Indices, Prefetch, Source, seed_of

LOSS_RATE = 0.99
"""Decay per step of the running mean of the loss, which thus covers about 100 steps."""
SMALLEST_LOSS_SCALE = 1.0
"""Below it, gradients overflow even without scaling: the training has diverged."""

Objective = Callable[[nn.Module, Batch], dict[str, Tensor]]
"""Function of network and batch that returns terms per image, (n,) each; the mean of "loss" is minimised."""


@dataclass(frozen=True)
class Task:
    """What to train: the network, its images, and its loss."""

    model: nn.Module
    objective: Objective
    num_timesteps: int
    source: Source
    indices: Indices
    """Indices of the images to train on."""
    data: DataConfig
    seed: int
    network: ModelConfig | None = None
    """What the model was built from, by which its need of memory is estimated; None: unknown."""


@dataclass(frozen=True)
class Trained:
    weights: Mapping[float, Mapping[str, Tensor]]
    """Averages of the weights by rate, as state dicts."""
    snapshots: Mapping[float, Mapping[str, Tensor]]
    """Power-function averages by length, likewise."""
    loss: float
    """The final running mean."""


def fit(ctx: TrainContext, task: Task, config: TrainConfig) -> Trained:
    """Train up to ctx.amount iterations, resuming from the last checkpoint if there is one.

    Raises UserError for a batch that is too small for its workers, and AssayError if the training diverges.
    """
    started = time.monotonic()
    trainer = Trainer(ctx, task, config)
    steps = time.monotonic()
    with Prefetch(trainer.batches.read, trainer.done, ctx.amount) as batches:
        for step, examples in batches:
            trainer.step(trainer.batches.draw(step, examples, trainer.timesteps, ctx.device))
            if trainer.steps_here == 1:
                ctx.note("seconds_to_first_step", round(time.monotonic() - started, 1))
                steps = time.monotonic()
    if trainer.steps_here > 1:
        images = (trainer.steps_here - 1) * config.batch_size
        ctx.note("images_per_second", round(images / (time.monotonic() - steps), 1))
    if torch.cuda.is_available():
        ctx.note("peak_memory_gib", round(torch.cuda.max_memory_allocated() / 2**30, 2))
    return Trained(trainer.ema.weights, trainer.power_ema.weights, trainer.loss)


class Trainer:
    """A training in progress: the network, its optimizer and averages, and the current step."""

    def __init__(self, ctx: TrainContext, task: Task, config: TrainConfig) -> None:
        self.ctx, self.task, self.config = ctx, task, config
        self.precision = choose(ctx, "train.precision", config.precision)
        self.batches = Batches(
            task.source,
            task.indices,
            task.data,
            task.seed,
            config.batch_size,
            ctx.rank,
            ctx.world_size,
            config.label_dropout,
            None if task.network is None else task.network.null_label,
        )
        self.timesteps: TimestepSampler = timestep_sampler(config.timestep_sampler, task.num_timesteps)
        self.micro_batches = fitting_micro_batches(ctx, config, task.network, self.precision)
        self.done = self.steps_here = self.skipped = 0
        self.loss = math.nan
        """Running mean of the loss, which ranks checkpoints."""
        latest = ctx.latest_checkpoint()
        saved = state.read(latest[1]) if latest is not None else None
        model = task.model.to(ctx.device).train()
        if saved is not None:
            model.load_state_dict(saved.below("model"))
        self.engine: Engine = build(model, config, ctx.device, self.precision, self.micro_batches)
        self.ema, self.power_ema = EMA(model, config.ema_rates), PowerEMA(model, config.ema_lengths)
        if latest is not None and saved is not None:
            self.done = latest[0]
            self._resume(saved)
        ctx.note("train.engine", self.engine.name)

    def step(self, batch: Batch) -> None:
        """One iteration. A step that overflows in fp16 is repeated on the same batch at half the loss scale, and one
        for which memory runs out in smaller micro-batches."""
        while True:
            try:
                terms, report = self._try(batch)
            except RanOutOfMemory as error:
                self.micro_batches = more_micro_batches(self.ctx, self.config, self.micro_batches, str(error))
                continue
            if report.taken:
                break
            if self.precision != "fp16" or report.loss_scale / 2 < SMALLEST_LOSS_SCALE:
                self._diverged(terms, report)
            self.skipped += 1
        learning_rate = self._learning_rate()
        self.done += 1
        self.ema.update()
        self.power_ema.update(self.done)
        self.steps_here += 1
        means, is_leaving = self._means(terms)
        previous = means["loss"] if math.isnan(self.loss) else self.loss
        self.loss = LOSS_RATE * previous + (1 - LOSS_RATE) * means["loss"]
        if self.precision == "fp16":
            means |= {"loss_scale": report.loss_scale, "skipped_steps": float(self.skipped)}
        metrics = {**means, "grad_norm": report.grad_norm}
        log_step(self.ctx, self.done, metrics, live={"learning_rate": learning_rate})
        if is_checkpoint_due(self.ctx, self.done, is_leaving):
            self._save()

    def _try(self, batch: Batch) -> tuple[dict[str, list[Tensor]], StepReport]:
        """Attempt a step: the loss terms of every micro-batch, and the engine's report."""
        terms: dict[str, list[Tensor]] = {}
        # The mean number of images per micro-batch, not this one's: shares may be uneven, and images count equally.
        images = self.config.batch_size / self.ctx.world_size / self.micro_batches

        def loss_fn(index: int, part: Batch) -> Callable[[nn.Module], Tensor]:
            def loss(network: nn.Module) -> Tensor:
                torch.manual_seed(seed_of(DROPOUT, self.task.seed, self.done, self.ctx.rank, index))
                losses = self.task.objective(network, part)
                for name, values in losses.items():
                    terms.setdefault(name, []).append(values.detach().float())
                return (losses["loss"] * part.weights).sum() / images

            return loss

        parts = [loss_fn(index, part) for index, part in enumerate(batch.split(self.micro_batches))]
        report = self.engine.step(parts, self._learning_rate())
        if report.taken:
            self.timesteps.update(batch.t, torch.cat(terms["loss"]))
        return terms, report

    def _learning_rate(self) -> float:
        """Annealed linearly to 0, or constant."""
        over = self.config.annealed_over
        return self.config.learning_rate * (1.0 if over is None else max(0.0, 1.0 - self.done / over))

    def _means(self, terms: dict[str, list[Tensor]]) -> tuple[dict[str, float], bool]:
        """Means over the global batch, and whether any worker was told to leave its machine."""
        leaving = torch.tensor(float(self.ctx.leaving), device=self.ctx.device)
        images = self.config.batch_size / self.ctx.world_size
        means = torch.stack([*(torch.cat(values).sum() / images for values in terms.values()), leaving])
        average([means])
        *values, num_leaving = means.tolist()
        return dict(zip(terms, values, strict=True)), num_leaving > 0

    def _diverged(self, terms: dict[str, list[Tensor]], report: StepReport) -> NoReturn:
        loss = self._means(terms)[0]["loss"]
        what = f"the loss is {loss:g}" if not math.isfinite(loss) else f"the gradient is {report.grad_norm:g}"
        if self.precision == "fp16":
            what += f" with a loss scale of {report.loss_scale:g}"
        raise AssayError(
            f"{what} at step {self.done + 1}; the last checkpoint is kept. "
            "Try a smaller train.learning_rate, train.gradient_clip, or train.precision fp32"
        )

    def _save(self) -> None:
        skipped_images = set[str]().union(*gather(set(self.task.source.skipped)))
        self.task.source.skipped.update(skipped_images)  # so that no worker tries them again
        note_skipped(self.ctx, self.task.source)
        counters = self.engine.counters() | {"skipped": self.skipped, "loss": self.loss}

        def write(folder: Path) -> None:
            state.write(folder, self._tensors(), counters, skipped_images, self.ctx.rank, self.ctx.world_size)

        self.ctx.save_checkpoint(self.done, write, score=self.loss)

    def _tensors(self) -> Iterator[tuple[str, Tensor]]:
        for name, weight in self.engine.model.state_dict().items():
            yield f"model/{name}", weight
        for rate, weights in self.ema.weights.items():
            for name, weight in weights.items():
                yield f"ema/{rate}/{name}", weight
        for length, weights in self.power_ema.weights.items():
            for name, weight in weights.items():
                yield f"power_ema/{length}/{name}", weight
        for name, m, v in self.engine.moments():
            yield f"exp_avg/{name}", m
            yield f"exp_avg_sq/{name}", v
        for name, tensor in self.timesteps.state_dict().items():
            yield f"timesteps/{name}", tensor

    def _resume(self, saved: state.TrainingState) -> None:
        m, v = saved.below("exp_avg"), saved.below("exp_avg_sq")
        self.engine.load({name: (m[name], v[name]) for name in m}, saved.counters)
        self.ema.load({rate: saved.below(f"ema/{rate}") for rate in self.ema.weights})
        self.power_ema.load({length: saved.below(f"power_ema/{length}") for length in self.power_ema.weights})
        self.timesteps.load_state_dict(saved.below("timesteps"))
        self.task.source.skipped.update(saved.skipped_images)
        self.skipped, self.loss = int(saved.counters["skipped"]), saved.counters["loss"]


def note_skipped(ctx: TrainContext, source: Source) -> None:
    """Note how many images this worker, and all workers up to the last checkpoint, could not decode."""
    if source.skipped:
        ctx.note("skipped_images", len(source.skipped))
