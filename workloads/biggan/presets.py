"""Shipped configs: the published generators, and one for the digits that a laptop trains in minutes. Without torch."""

from __future__ import annotations

from itertools import pairwise

from biggan.config import Config, DiscriminatorConfig, GeneratorConfig, Layer, SampleConfig, TrainConfig
from imaging.config import DataConfig, EvaluateConfig

CLASSES = 1000
WEIGHTS = "biggan-deep-{}-pytorch_model.bin"
"""File names at https://s3.amazonaws.com/models.huggingface.co/biggan/, by resolution."""


def _halving(*widths: int) -> tuple[Layer, ...]:
    """Pairs of layers, one that keeps the size and one that doubles it, from the widths between pairs."""
    return tuple(layer for width, then in pairwise(widths) for layer in ((False, width, width), (True, width, then)))


LAYERS = {
    128: _halving(16, 16, 8, 4, 2, 1),
    256: _halving(16, 16, 8, 8, 4, 2, 1),
    512: _halving(16, 16, 8, 8, 4, 2, 1, 1),
}
"""Tables 7 to 9 of the paper, by resolution."""


def published(size: int) -> Config:
    """The published generator of ImageNet at a resolution, from the file of its weights."""
    return Config(
        data=DataConfig(source="folder", flip=True),
        generator=GeneratorConfig(
            weights=WEIGHTS.format(size),
            channel_width=128,
            z_dim=128,
            num_classes=CLASSES,
            layers=LAYERS[size],
            attention_layer_position=8,
        ),
        sample=SampleConfig(labels="drawn"),
        evaluate=EvaluateConfig(extractor="inception"),
    )


def digits() -> Config:
    """scikit-learn's 1,797 digits of 8×8 pixels, evaluated as adm's are, in pixels."""
    return Config(
        data=DataConfig(source="digits"),
        generator=GeneratorConfig(
            channel_width=8,
            z_dim=16,
            num_classes=10,
            layers=((True, 16, 8), (False, 8, 1)),
            attention_layer_position=1,
            out_channels=1,
        ),
        discriminator=DiscriminatorConfig(channel_width=8, layers=((True, 4, 8), (False, 8, 16))),
        # Higher rates reach legible digits sooner, with less variety.
        train=TrainConfig(
            iterations=1000,
            batch_size=32,
            generator_learning_rate=4e-4,
            discriminator_learning_rate=8e-4,
            discriminator_steps=1,
            ema_rate=0.98,
            standing_batches=4,
            checkpoint_every=200,
        ),
        sample=SampleConfig(batch_size=125),
        evaluate=EvaluateConfig(num_samples=1000, num_reference=1797, extractor="pixels"),
    )


PRESETS = {"digits_gan": digits(), **{f"imagenet{size}": published(size) for size in LAYERS}}
