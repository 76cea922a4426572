"""The train stages: the diffusion model, and the noise-aware classifier."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate

from adm import checkpoints, models
from adm.config import DataConfig, DiffusionConfig, ModelConfig, TrainConfig
from adm.data import Indices, Source, data_config, open_source, split, to_model_range
from adm.diffusion import Diffusion
from adm.training.loop import Batch, fit
from assay.errors import UserError
from assay.workload import StageContext, TrainContext

WEIGHTS = "model.safetensors"
NOISE_LEVELS = (0.0, 0.25, 0.5, 0.75)
"""Where the classifier's accuracy is measured, as a share of T."""
VALIDATION_BATCH = 500


def train_diffusion(ctx: TrainContext) -> Mapping[str, float]:
    """Train ε_θ and Σ_θ; commits the EMA weights. Equation 12, and the bound for the variance."""
    model_config = ModelConfig(**ctx.config["model"])
    torch.manual_seed(ctx.config["seed"])
    model = models.build(model_config)
    diffusion = Diffusion.from_config(DiffusionConfig(**ctx.config["diffusion"]))
    data = data_config(ctx.config["data"])
    source = _open(data, model_config, model_config.num_classes)
    everything, _ = split(source, 0.0)

    def objective(network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        kwargs = {"y": batch.y} if model_config.num_classes else {}
        if model_config.low_res_size is not None:
            size = (model_config.low_res_size, model_config.low_res_size)
            kwargs["low_res"] = interpolate(batch.x0, size, mode="area")
        return diffusion.losses(network, batch.x0, batch.t, batch.noise, model_kwargs=kwargs)

    train = TrainConfig(iterations=ctx.amount, **ctx.config["train"])
    engine = fit(
        ctx, model, train, ctx.config["seed"], source, everything, diffusion.num_timesteps, objective, data.flip
    )
    return _finish(ctx, engine.ema, model_config)


def train_classifier(ctx: TrainContext) -> Mapping[str, float]:
    """Train p_φ(y | x_t) on noised images; commits the EMA weights, reports accuracy on images held out (table 12)."""
    model_config = ModelConfig(**ctx.config["model"])
    data = data_config(ctx.config["data"])
    torch.manual_seed(ctx.config["seed"])
    model = models.build(model_config)
    diffusion = Diffusion.from_config(DiffusionConfig(**ctx.config["diffusion"]))
    source = _open(data, model_config, model_config.out_channels)
    training, held_out = split(source, data.validation)
    if not len(training):
        raise UserError(f"data.validation {data.validation} holds out every image; hold out fewer")

    def objective(network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        logits = network(diffusion.q_sample(batch.x0, batch.t, batch.noise), batch.t).float()
        correct = (logits.argmax(1) == batch.y).float()
        return {"loss": cross_entropy(logits, batch.y, reduction="none"), "accuracy": correct}

    train = TrainConfig(iterations=ctx.amount, **ctx.config["train"])
    engine = fit(ctx, model, train, ctx.config["seed"], source, training, diffusion.num_timesteps, objective, data.flip)
    metrics = dict(_finish(ctx, engine.ema, model_config))
    if len(held_out) and ctx.rank == 0:
        model.load_state_dict(engine.ema)
        metrics |= validation_accuracy(model, diffusion, source, held_out, ctx.device)
    return metrics


def load_weights(ctx: StageContext) -> Mapping[str, float]:
    """Take a published or native checkpoint for the model of the config. Raises UserError naming what does not fit."""
    path = Path(ctx.config["checkpoint"])
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != ctx.config["sha256"]:
        raise UserError(f"{path} changed since the sweep was planned; run it again")
    model_config = ModelConfig(**ctx.config["model"])
    checkpoint = checkpoints.load(path)
    checkpoint.check(model_config)
    checkpoints.save(ctx.output / WEIGHTS, checkpoint, model_config)
    return {}


@torch.no_grad()
def validation_accuracy(
    model: nn.Module, diffusion: Diffusion, source: Source, held_out: Indices, device: str
) -> dict[str, float]:
    """Share of held-out images classified rightly, at several noise levels: {"accuracy_t0": …, "accuracy_t250": …}."""
    model.eval()
    generator = torch.Generator(device).manual_seed(0)
    found = {}
    for level in NOISE_LEVELS:
        step = int(level * diffusion.num_timesteps)
        correct = 0
        for start in range(0, len(held_out), VALIDATION_BATCH):
            chosen = held_out[start : start + VALIDATION_BATCH]
            x0 = to_model_range(source.images(chosen), device)
            t = torch.full((len(chosen),), step, device=device)
            noise = torch.randn(x0.shape, generator=generator, device=device)
            guess = model(diffusion.q_sample(x0, t, noise), t).argmax(1).cpu()
            correct += int((guess.numpy() == source.labels[chosen]).sum())
        found[f"accuracy_t{step}"] = correct / len(held_out)
    return found


def _open(data: DataConfig, model: ModelConfig, classes: int | None) -> Source:
    return open_source(data, model.image_size, model.in_channels, classes)


def _finish(ctx: TrainContext, ema: Mapping[str, Tensor], model_config: ModelConfig) -> Mapping[str, float]:
    if ctx.rank == 0:
        checkpoints.save(ctx.output / WEIGHTS, ema, model_config)
    return {}
