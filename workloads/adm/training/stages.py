"""The train stages: the diffusion model, and the noise-aware classifier."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from adm import checkpoints, models
from adm.config import DiffusionConfig, ModelConfig, TrainConfig, validation_timesteps
from adm.diffusion import Diffusion, low_resolution
from adm.models.trunk import Trunk
from adm.registries import Role
from adm.training.batches import Batch
from adm.training.loop import Objective, Task, Trained, fit, note_skipped
from assay.errors import AssayWarning, UserError
from assay.workload import StageContext, TrainContext
from imaging.config import DataConfig
from imaging.contents import refuse_changed
from imaging.data import (
    Indices,
    Source,
    data_config,
    everything_held_out,
    nothing_held_out,
    open_planned,
    split,
    to_model_range,
)

WEIGHTS = "model.safetensors"
VALIDATION_BATCH = 500
MOST_MEASURED = 1000


def train_diffusion(ctx: TrainContext) -> Mapping[str, float]:
    """Train ε_θ and Σ_θ by the config's loss, by default L_simple + L_vlb (equation 12); commits the averaged weights.

    An upsampler is conditioned on x_0 downsampled by area, as in the published super_res_train.py.
    """
    model_config, train = _configs(ctx)
    diffusion = Diffusion.from_config(DiffusionConfig(**ctx.config["diffusion"]))
    source, data = _open(ctx, model_config)
    all_images, _ = split(source, 0.0)
    model, objective = _network(ctx, model_config), objective_of(diffusion, model_config)
    task = Task(model, objective, diffusion.num_timesteps, source, all_images, data, ctx.config["seed"], model_config)
    return _finish(ctx, fit(ctx, task, train), model_config)


def train_classifier(ctx: TrainContext) -> Mapping[str, float]:
    """Train p_φ(y | x_t) on noisy images; commits the averaged weights, and measures accuracy on validation images."""
    model_config, train = _configs(ctx)
    diffusion = Diffusion.from_config(DiffusionConfig(**ctx.config["diffusion"]))
    source, data = _open(ctx, model_config)
    training, held_out = split(source, data.validation)
    if not len(training):
        raise UserError(everything_held_out(data.validation, len(source)))
    if data.validation and not len(held_out) and ctx.rank == 0:
        warnings.warn(nothing_held_out(data.validation, len(source)), AssayWarning, stacklevel=1)
    model, objective = _network(ctx, model_config), objective_of(diffusion, model_config)
    task = Task(model, objective, diffusion.num_timesteps, source, training, data, ctx.config["seed"], model_config)
    trained = fit(ctx, task, train)
    metrics = dict(_finish(ctx, trained, model_config))
    validation = _validation(ctx, model_config, source, held_out)
    if validation is not None and ctx.rank == 0:
        model.load_state_dict(trained.weights[train.ema_rates[0]])
        metrics |= validation_accuracy(model, diffusion, *validation, ctx.device)
        note_skipped(ctx, source)
    return metrics


def objective_of(diffusion: Diffusion, model: ModelConfig) -> Objective:
    """The training objective of a network, by its role."""
    return classifying(diffusion) if model.role is Role.CLASSIFIES else denoising(diffusion, model)


def denoising(diffusion: Diffusion, model: ModelConfig) -> Objective:
    """The objective of a diffusion model, or of an upsampler."""

    def objective(network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        kwargs = {"y": batch.y} if model.num_classes else {}
        if model.low_res_size is not None:
            kwargs["low_res"] = low_resolution(batch.x0, model.low_res_size)
        return diffusion.losses(network, batch.x0, batch.t, batch.noise, model_kwargs=kwargs)

    return objective


def classifying(diffusion: Diffusion) -> Objective:
    """The objective of a noise-aware classifier: −log p_φ(y | x_t), and its accuracy."""

    def objective(network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        logits = network(diffusion.q_sample(batch.x0, batch.t, batch.noise), batch.t).float()
        correct = (logits.argmax(1) == batch.y).float()
        return {"loss": cross_entropy(logits, batch.y, reduction="none"), "accuracy": correct}

    return objective


def load_weights(ctx: StageContext) -> Mapping[str, float]:
    """Load a published or native checkpoint for the config's model. Raises UserError naming keys that do not fit."""
    path = Path(ctx.config["checkpoint"])
    refuse_changed(path, ctx.config["sha256"])
    model_config = ModelConfig(**ctx.config["model"])
    checkpoint = checkpoints.load(path)
    checkpoint.check(model_config)
    checkpoints.save(ctx.output / WEIGHTS, checkpoint, model_config)
    return {}


@torch.no_grad()
def measure_weights(ctx: StageContext) -> Mapping[str, float]:
    """The loss of a network that was loaded from a checkpoint, over up to MOST_MEASURED images at uniform timesteps,
    and a classifier's accuracy; on validation images if there are any."""
    config, data = ModelConfig(**ctx.config["model"]), data_config(ctx.config["data"])
    diffusion = Diffusion.from_config(DiffusionConfig(**ctx.config["diffusion"]))
    objective = objective_of(diffusion, config)
    network = checkpoints.load(ctx.inputs["model"].file(WEIGHTS)).build().to(ctx.device).eval()
    source = open_planned(
        ctx.config["data"], config.image_size, config.in_channels, config.num_labels, threads=ctx.threads
    )
    training, held_out = split(source, data.validation)
    validation = _validation(ctx, config, source, held_out)
    if validation is not None:
        source, training = validation
    shuffled = np.random.default_rng(ctx.config["seed"]).permutation(training)
    indices = shuffled[:MOST_MEASURED]
    generator, total = torch.Generator().manual_seed(ctx.config["seed"]), 0.0
    for start in range(0, len(indices), VALIDATION_BATCH):
        images, labels = source.read(indices[start : start + VALIDATION_BATCH])
        x0 = to_model_range(images, ctx.device)
        t = torch.randint(diffusion.num_timesteps, (len(x0),), generator=generator)
        noise = torch.randn(x0.shape, generator=generator)
        others = (tensor.to(ctx.device) for tensor in (torch.from_numpy(labels), t, torch.ones(len(x0)), noise))
        total += float(objective(network, Batch(x0, *others))["loss"].sum())
    metrics = {"loss": total / len(indices), "num_images": float(len(indices))}
    if config.role is Role.CLASSIFIES and validation is not None:
        metrics |= validation_accuracy(network, diffusion, *validation, ctx.device)
    return metrics


def _validation(
    ctx: TrainContext | StageContext, model: ModelConfig, source: Source, held_out: Indices
) -> tuple[Source, Indices] | None:
    """The images that a classifier's accuracy is measured on: all of data.validation_path, or those held out of the
    training's; None if there are none."""
    if (values := ctx.config.get("validation_data")) is not None:
        others = open_planned(values, model.image_size, model.in_channels, model.num_labels, threads=ctx.threads)
        return others, np.arange(len(others), dtype=np.int64)
    return (source, held_out) if len(held_out) else None


@torch.no_grad()
def validation_accuracy(
    model: nn.Module, diffusion: Diffusion, source: Source, held_out: Indices, device: str
) -> dict[str, float]:
    """Share of validation images classified correctly, by noise level: {"accuracy_t0": …, "accuracy_t250": …}."""
    model.eval()
    generator = torch.Generator(device).manual_seed(0)
    accuracies = {}
    for step in validation_timesteps(diffusion.num_timesteps):
        correct = 0
        for start in range(0, len(held_out), VALIDATION_BATCH):
            images, labels = source.read(held_out[start : start + VALIDATION_BATCH])
            x0 = to_model_range(images, device)
            t = torch.full((len(x0),), step, device=device)
            noise = torch.randn(x0.shape, generator=generator, device=device)
            predicted = model(diffusion.q_sample(x0, t, noise), t).argmax(1).cpu()
            correct += int((predicted.numpy() == labels).sum())
        accuracies[f"accuracy_t{step}"] = correct / len(held_out)
    return accuracies


def weights_file(ema_rate: float | None) -> str:
    """The file with the weights averaged at a rate, in a training's result; None: the first rate."""
    return WEIGHTS if ema_rate is None else f"model_ema_{ema_rate}.safetensors"


def snapshot_file(length: float) -> str:
    """The file with the power-function average of a length, in a training's result."""
    return f"model_length_{length}.safetensors"


def _configs(ctx: TrainContext) -> tuple[ModelConfig, TrainConfig]:
    model = ModelConfig(**ctx.config["model"], **ctx.execution["model"])
    return model, TrainConfig(iterations=ctx.amount, **ctx.config["train"], **ctx.execution["train"])


def _network(ctx: TrainContext, config: ModelConfig) -> Trunk:
    """With random weights, or those of the training that it starts from."""
    torch.manual_seed(ctx.config["seed"])
    network = models.build(config)
    if (init := ctx.inputs.get("init")) is not None:
        weights = checkpoints.load(init.file(WEIGHTS))
        weights.check(config)
        network.load_state_dict(weights)
    return network


def _open(ctx: TrainContext, model: ModelConfig) -> tuple[Source, DataConfig]:
    values = ctx.config["data"]
    source = open_planned(values, model.image_size, model.in_channels, model.num_labels, threads=ctx.threads)
    return source, data_config(values)


def _finish(ctx: TrainContext, trained: Trained, model_config: ModelConfig) -> Mapping[str, float]:
    if ctx.rank == 0:
        for index, (rate, weights) in enumerate(trained.weights.items()):
            checkpoints.save(ctx.output / weights_file(rate if index else None), weights, model_config)
        for length, weights in trained.snapshots.items():
            checkpoints.save(ctx.output / snapshot_file(length), weights, model_config)
    return {"loss": trained.loss}
