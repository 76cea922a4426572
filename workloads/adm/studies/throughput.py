"""Table 7: training images per second on each device, and the share of its peak throughput that this is."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from adm import models
from adm.compute import theoretical_throughput, training_flops
from adm.compute.v100 import V100_DAYS
from adm.config import DiffusionConfig, ModelConfig, TrainConfig
from adm.diffusion import Diffusion
from adm.studies.check import timed_group
from adm.training import engines
from adm.training.batches import Batch
from adm.training.ema import EMA
from adm.training.engines.torch_engine import TorchEngine
from adm.training.precision import choose
from adm.training.stages import objective_of
from assay.costs.devices import find_device
from assay.errors import UserError
from assay.workload import StageContext, TrainContext


def throughput(ctx: TrainContext) -> Mapping[str, float]:
    """Time complete training steps (forward, backward, Adam, EMA) on images of noise, and take the median. With more
    than one worker, a step includes averaging their gradients; rates stay those of each device.

    naive uses the network's plain operations and Adam one parameter at a time; optimized uses fused ones for both.
    Rates per V100-second and utilisation are reported only for devices in the table of devices. Raises UserError if
    the device is not throughput.device, or has too little memory for the batch.
    """
    timed_group(ctx.config, ctx.execution, ctx.world_size, 0.0 if ctx.device == "cpu" else 1.0)
    device = _device(ctx)
    model_config, train = ModelConfig(**ctx.config["model"]), TrainConfig(**ctx.config["train"])
    step = _training_step(ctx, model_config, train)
    try:
        seconds = _timed(ctx, step)
    except (engines.RanOutOfMemory, torch.OutOfMemoryError) as error:  # in a pass; in Adam's or the averages' tensors
        raise UserError(
            f"throughput.batch_size {train.batch_size} does not fit on {device}; use a smaller one"
        ) from error
    rate = train.batch_size / statistics.median(seconds)
    rates = {
        "images_per_second": rate,
        "theoretical_images_per_v100_second": theoretical_throughput(model_config),
        "batch_size": float(train.batch_size),
    }
    known = find_device(device)
    if known is None:
        ctx.note("utilisation", f"not reported: no peak is declared for {device}")
        return rates
    rates["images_per_v100_second"] = rate / V100_DAYS.worth(known)
    if known.peak_flops is not None:
        rates["utilisation"] = rate * training_flops(model_config) / known.peak_flops
    return rates


def _device(ctx: StageContext) -> str:
    required = ctx.config["device"]
    name = "cpu" if ctx.device == "cpu" else torch.cuda.get_device_name(ctx.device)
    ctx.note("device", name)
    if required is not None and required.lower() not in name.lower():
        raise UserError(
            f"throughput.device is {required!r}, but this stage got {name!r}; give it such a device under "
            "resources.train, or omit throughput.device to time any device"
        )
    return name


def _timed(ctx: StageContext, step: Callable[[], object]) -> list[float]:
    """Duration of each timed step, in seconds."""
    seconds = []
    for index in range(ctx.config["warmup"] + ctx.config["repeats"]):
        _wait(ctx.device)
        started = time.perf_counter()
        step()
        _wait(ctx.device)
        if index >= ctx.config["warmup"]:
            seconds.append(time.perf_counter() - started)
            ctx.log(len(seconds), {"step_s": seconds[-1]})
            ctx.progress(len(seconds))
    return seconds


def _wait(device: str) -> None:
    """Wait until a GPU is idle, since calls return before their work is done."""
    if device != "cpu":
        torch.cuda.synchronize(device)


def _training_step(ctx: StageContext, config: ModelConfig, train: TrainConfig) -> Callable[[], object]:
    """A function that takes one training step, always on the same batch: its duration does not depend on the images."""
    torch.manual_seed(0)
    model = models.build(config).to(ctx.device).train()
    precision = choose(ctx, "train.precision", train.precision)
    engine: engines.Engine
    if config.implementation == "naive":
        engine = TorchEngine(model, train, ctx.device, precision, fused=False)
    else:
        engine = engines.build(model, train, ctx.device, precision)
    ctx.note("train.engine", engine.name)
    average, loss = EMA(model, (*train.ema_rates, *train.ema_lengths)), _loss(ctx, config, train.batch_size)

    def step() -> None:
        engine.step([loss], train.learning_rate)
        average.update()

    return step


def _loss(ctx: StageContext, config: ModelConfig, count: int) -> Callable[[nn.Module], Tensor]:
    diffusion = Diffusion.from_config(DiffusionConfig(**ctx.config["diffusion"]))
    generator = torch.Generator(ctx.device).manual_seed(0)
    shape = (count, config.in_channels, config.image_size, config.image_size)
    x0, noise = (torch.randn(shape, generator=generator, device=ctx.device) for _ in range(2))
    t = torch.randint(diffusion.num_timesteps, (count,), generator=generator, device=ctx.device)
    y = torch.randint(config.num_labels or 1, (count,), generator=generator, device=ctx.device)
    batch = Batch(x0, y, t, torch.ones(count, device=ctx.device), noise)
    objective = objective_of(diffusion, config)
    return lambda network: objective(network, batch)["loss"].mean()
