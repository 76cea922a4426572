"""The memory that a plan counts, against what PyTorch allocates on the CPU for the same networks."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from adm import models, presets
from adm.compute.memory import (
    Arithmetic,
    forward_bytes,
    of_classifier_features,
    step_moments,
    training_memory,
    weight_copies,
)
from adm.config import DiffusionConfig, EvaluateConfig, ModelConfig, TrainConfig
from adm.diffusion import Diffusion
from adm.models.encoder import Encoder
from adm.training.batches import Batch
from adm.training.ema import EMA
from adm.training.engines.torch_engine import TorchEngine
from adm.training.precision import computing_in
from adm.training.stages import objective_of
from allocated import peak_of
from assay.costs.devices import USABLE_MEMORY
from assay.workload import Stage

COUNT = 4
UNET: dict[str, Any] = {
    "kind": "unet",
    "image_size": 32,
    "channels": 64,
    "num_res_blocks": 1,
    "channel_mult": (1.0, 2.0),
    "attention_resolutions": (16, 8),
    "head_channels": 32,
    "num_classes": 10,
}
ENCODER = {**UNET, "kind": "encoder", "num_classes": None, "out_channels": 10}
CASES: dict[str, dict[str, Any]] = {
    "naive, with dropout": {**UNET, "implementation": "naive", "dropout": 0.1},
    "new order of q, k and v": {**UNET, "implementation": "naive", "qkv_order": "new"},
    "optimized": UNET,
    "checkpointed": {**UNET, "activation_checkpointing": True},
    "upsampler of three resolutions, checkpointed": {
        **UNET,
        "kind": "super_res",
        "image_size": 64,
        "low_res_size": 16,
        "channel_mult": (1.0, 1.0, 1.0),
        "activation_checkpointing": True,
    },
    "added embedding, resampled by convolutions": {**UNET, "norm": "add", "updown": "conv"},
    "classifier": ENCODER,
    "classifier, checkpointed": {**ENCODER, "activation_checkpointing": True},
    "naive, checkpointed, attention over many pixels": {
        **UNET,
        "implementation": "naive",
        "activation_checkpointing": True,
        "attention_resolutions": (32, 16),
    },
    "checkpointed, more weights than activations": {
        **UNET,
        "channels": 128,
        "image_size": 16,
        "channel_mult": (1.0, 2.0, 2.0),
        "activation_checkpointing": True,
    },
    "other widths, one head": {
        **UNET,
        "channels": 96,
        "channel_mult": (1.0, 1.0, 2.0),
        "num_res_blocks": 2,
        "attention_resolutions": (32,),
        "head_channels": 96,
        "num_classes": None,
        "dropout": 0.2,
    },
    "upsampler with classes": {
        **UNET,
        "kind": "super_res",
        "implementation": "naive",
        "low_res_size": 8,
        "channels": 32,
        "channel_mult": (1.0, 3.0),
        "attention_resolutions": (),
        "head_channels": 16,
    },
    "upsampler with classes, checkpointed, of 48 pixels": {
        **UNET,
        "kind": "super_res",
        "image_size": 48,
        "low_res_size": 24,
        "channels": 96,
        "channel_mult": (1.0, 2.0, 2.0),
        "attention_resolutions": (24,),
        "activation_checkpointing": True,
    },
}


def batch_for(config: ModelConfig) -> Batch:
    shape = (COUNT, config.in_channels, config.image_size, config.image_size)
    t, y = torch.randint(1000, (COUNT,)), torch.zeros(COUNT, dtype=torch.int64)
    return Batch(torch.randn(shape), y, t, torch.ones(COUNT), torch.randn(shape))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("case", CASES)
def test_what_a_training_step_keeps_is_counted_within_a_tenth(case: str, precision: str) -> None:
    config = ModelConfig(**CASES[case])
    torch.manual_seed(0)
    network, batch = models.build(config).train(), batch_for(config)
    objective = objective_of(Diffusion.from_config(DiffusionConfig()), config)

    def step() -> None:
        with computing_in(precision, "cpu"):
            loss = objective(network, batch)["loss"].mean()
        loss.backward()  # type: ignore[no-untyped-call]

    step()  # gradients are there from now on
    how = Arithmetic(is_half=precision == "bf16", on_gpu=False)
    counted = max(beside + COUNT * per_image for beside, per_image in step_moments(config, how))
    assert counted == pytest.approx(peak_of(step), rel=0.1)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("case", ["naive, with dropout", "upsampler of three resolutions, checkpointed"])
def test_a_pass_without_gradients_is_counted_within_a_sixth(case: str, precision: str) -> None:
    config = ModelConfig(**CASES[case])
    network, batch = models.build(config).eval(), batch_for(config)
    low_res = {} if config.low_res_size is None else {"low_res": torch.randn(COUNT, 3, *2 * [config.low_res_size])}

    @torch.no_grad()
    def draw() -> None:
        with computing_in(precision, "cpu"):
            network(batch.x0, batch.t, batch.y, **low_res)

    how = Arithmetic(is_half=precision == "bf16", on_gpu=False)
    counted = COUNT * forward_bytes(config, how) + weight_copies(config, how)
    assert counted == pytest.approx(peak_of(draw), rel=1 / 6)


def test_the_features_of_a_classifier_are_counted_within_a_sixth() -> None:
    config = ModelConfig(**ENCODER)
    encoder, batch = models.build(config).eval(), batch_for(config)
    assert isinstance(encoder, Encoder)
    training = Stage("train_classifier", 1, "train", ("m:f",), {"model": config.model_dump(mode="json")})
    held = sum(tensor.nbytes for tensor in encoder.parameters())
    per_image = forward_bytes(config, Arithmetic(is_half=False))
    assert of_classifier_features(EvaluateConfig(), {"classifier": training}) == (held, per_image)

    @torch.no_grad()
    def extract() -> None:
        encoder.features(batch.x0, torch.zeros(COUNT, dtype=torch.long))

    on_cpu = Arithmetic(is_half=False, on_gpu=False)
    assert COUNT * forward_bytes(config, on_cpu) == pytest.approx(peak_of(extract), rel=1 / 6)


def test_weights_gradients_adam_and_averages_are_counted_exactly() -> None:
    config = ModelConfig(**UNET)
    train = TrainConfig(iterations=1, batch_size=2, precision="fp32", engine="torch", ema_rates=(0.9, 0.99))
    network = models.build(config).train()
    engine, ema = TorchEngine(network, train, "cpu", "fp32"), EMA(network, train.ema_rates)
    engine.step([lambda net: net(batch_for(config).x0, torch.zeros(COUNT), torch.zeros(COUNT).long()).mean()], 1e-4)
    tensors = [*network.parameters(), *(p.grad for p in network.parameters() if p.grad is not None)]
    tensors += [tensor for _, m, v in engine.moments() for tensor in (m, v)]
    tensors += [weight for weights in ema.weights.values() for weight in weights.values()]
    memory = training_memory(config, train, "train", "model")
    assert memory is not None
    assert memory.fixed == sum(tensor.nbytes for tensor in tensors)


def test_zero_divides_the_optimizer_s_state_and_then_the_gradients_among_the_workers() -> None:
    c = presets.load("imagenet256")

    def of_eight(stage: int) -> int:
        memory = training_memory(c.model, c.train.model_copy(update={"zero_stage": stage}), "train", "model")
        assert memory is not None
        return memory.of_worker(1, workers=8)

    assert of_eight(0) > of_eight(1) > of_eight(2)


def test_checkpointing_and_fused_attention_need_less_on_a_gpu() -> None:
    config = presets.load("imagenet256").model

    def kept(**changes: Any) -> int:
        return step_moments(config.model_copy(update=changes), Arithmetic())[1][1]

    assert kept(activation_checkpointing=True) < kept() / 2
    assert kept() < kept(implementation="naive") / 1.5


@pytest.mark.parametrize(
    ("preset", "batch_size"),
    [("imagenet64", 96), ("imagenet128", 32), ("imagenet256", 8), ("upsample_64_256", 12), ("upsample_128_512", 2)],
)
def test_the_batches_that_the_paper_timed_fit_a_v100_of_32_gb_and_few_more_do(preset: str, batch_size: int) -> None:
    """Table 7's batch sizes, with its optimized implementation."""
    c = presets.load(preset)
    memory = training_memory(c.model, c.train, "train", "model")
    assert memory is not None
    assert batch_size <= memory.most(32 * 2**30 * USABLE_MEMORY) < 2.5 * batch_size
