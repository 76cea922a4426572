"""The typed, frozen config of a run. Sections: data, generator, discriminator, train, sample, evaluate.

Imports no torch: a sweep is validated and planned without it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from assay.errors import FieldError
from assay.workload.fields import Bool, FilePath, Fraction, PositiveFloat, PositiveInt, Section, Seed
from imaging.config import DataConfig, EvaluateConfig
from imaging.data_sources import DATA_SOURCES

FIRST_SIZE, FIRST_WIDTH = 4, 16
"""Pixels per side, and width, of the input of the generator's first layer."""
REDUCTION = 4
"""How many times narrower a bottleneck is than its block."""

Layer = tuple[Bool, PositiveInt, PositiveInt]
"""(Whether it doubles the size of the image, or halves it in a discriminator; width in; width out). Widths are
multiples of channel_width."""
Layers = Annotated[tuple[Layer, ...], Field(min_length=1)]


class GeneratorConfig(Section):
    """The generator, with the option names of the published config files."""

    weights: FilePath | None = None
    """A file of the published PyTorch port (biggan-deep-128-pytorch_model.bin, …) to draw from instead of training."""
    channel_width: PositiveInt
    z_dim: PositiveInt
    """Dimensions of the noise, and of a class embedding."""
    num_classes: PositiveInt
    layers: Layers
    attention_layer_position: Annotated[int, Field(strict=True, ge=0)] | None = None
    """The layer before which there is attention; null for none."""
    n_stats: Annotated[int, Field(strict=True, ge=2, le=10_000)] = 51
    """Number of truncations, evenly spaced from 0 to 1, with batch-norm statistics of their own."""
    eps: PositiveFloat = 1e-4
    out_channels: PositiveInt = 3
    """Channels of images: 1 or 3."""

    @model_validator(mode="after")
    def _fits(self) -> GeneratorConfig:
        _connected(self.layers, "layers")
        if self.layers[0][1] != FIRST_WIDTH:
            raise FieldError(f"layers starts at width {self.layers[0][1]}, allowed: {FIRST_WIDTH}", "layers")
        if self.layers[-1][2] != 1:
            raise FieldError(f"layers ends at width {self.layers[-1][2]}, allowed: 1", "layers")
        for index, (_, inputs, outputs) in enumerate(self.layers):
            if outputs > inputs:
                raise FieldError(f"layers[{index}] widens {inputs} to {outputs}: a generator narrows", "layers")
            if self.channel_width * inputs < REDUCTION:
                raise FieldError(
                    f"layers[{index}] has {self.channel_width * inputs} channels, allowed: {REDUCTION} or more; use a "
                    f"larger channel_width",
                    "layers",
                    "channel_width",
                )
        if self.out_channels > self.channel_width:
            raise FieldError(
                f"out_channels {self.out_channels} do not fit into channel_width {self.channel_width}: use fewer, or "
                "a larger channel_width",
                "out_channels",
                "channel_width",
            )
        _attends(self.attention_layer_position, self.layers, self.channel_width)
        return self

    @property
    def image_size(self) -> int:
        """Pixels per side of the images."""
        return FIRST_SIZE << sum(doubles for doubles, _, _ in self.layers)


class DiscriminatorConfig(Section):
    """The network that tells real images from drawn ones during training."""

    channel_width: PositiveInt
    layers: Layers
    attention_layer_position: Annotated[int, Field(strict=True, ge=0)] | None = None

    @model_validator(mode="after")
    def _fits(self) -> DiscriminatorConfig:
        _connected(self.layers, "layers")
        for index, (_, inputs, outputs) in enumerate(self.layers):
            if outputs < inputs:
                raise FieldError(f"layers[{index}] narrows {inputs} to {outputs}: a discriminator widens", "layers")
            if self.channel_width * outputs < REDUCTION:
                raise FieldError(
                    f"layers[{index}] has {self.channel_width * outputs} channels, allowed: {REDUCTION} or more; use "
                    "a larger channel_width",
                    "layers",
                    "channel_width",
                )
        _attends(self.attention_layer_position, self.layers, self.channel_width)
        return self


def _connected(layers: tuple[Layer, ...], field: str) -> None:
    """Raise FieldError if a layer's input is not as wide as the output of the one before."""
    for index in range(1, len(layers)):
        given, taken = layers[index - 1][2], layers[index][1]
        if given != taken:
            raise FieldError(
                f"{field}[{index}] has input width {taken}, but the layer before it has output width {given}", field
            )


def _attends(position: int | None, layers: tuple[Layer, ...], channel_width: int) -> None:
    """Raise FieldError for attention that is not possible: queries and keys have an eighth of the channels."""
    if position is None:
        return
    if position >= len(layers):
        raise FieldError(
            f"attention_layer_position is {position}, allowed: 0 to {len(layers) - 1}, a layer, or null for none",
            "attention_layer_position",
            "layers",
        )
    if (channels := channel_width * layers[position][1]) < 8:
        raise FieldError(
            f"attention before layers[{position}] has {channels} channels, allowed: 8 or more",
            "attention_layer_position",
            "channel_width",
        )


class TrainConfig(Section):
    """Training of generator and discriminator (appendix C of the paper): Adam, hinge loss."""

    iterations: PositiveInt
    """Steps of the generator."""
    batch_size: PositiveInt
    """Images per step of the generator or the discriminator, over all workers."""
    generator_learning_rate: PositiveFloat = 5e-5
    discriminator_learning_rate: PositiveFloat = 2e-4
    discriminator_steps: PositiveInt = 2
    """Steps of the discriminator before each one of the generator."""
    beta1: Fraction = 0.0
    beta2: Fraction = 0.999
    ema_rate: Fraction = 0.9999
    """Decay per step of the average of the generator's weights, which images are drawn with."""
    standing_batches: PositiveInt = 16
    """Number of batches over which the statistics of each truncation are averaged."""
    checkpoint_every: PositiveInt = 1000
    keep_last: PositiveInt = 2
    """Number of latest checkpoints kept during training; one afterwards."""
    keep_every: PositiveInt | None = None
    """Checkpoints at multiples of this number of iterations are kept."""


class SampleConfig(Section):
    """How images are drawn."""

    truncation: Annotated[float, Field(strict=True, gt=0, le=1)] = 1.0
    """Noise is drawn from a normal distribution cut off at ±2, and multiplied by this: less is closer to the mean image
    of a class."""
    labels: Literal["balanced", "drawn"] = "balanced"
    """balanced: image i has class i mod num_classes. drawn: its class is drawn by (seed, i)."""
    batch_size: PositiveInt | Literal["auto"] = 64
    """Images that an actor draws at a time, fewer if memory runs out. Images do not depend on it."""
    keep_images: Literal["none", "npz", "png"] = "none"
    """Keep all images as a file: npz as the reference evaluator reads it, or PNGs in a zip. none: 100, for the grid."""


class Config(Section):
    seed: Seed = 0
    data: DataConfig
    generator: GeneratorConfig
    discriminator: DiscriminatorConfig | None = None
    train: TrainConfig | None = None
    """Null if generator.weights names published weights."""
    sample: SampleConfig = SampleConfig()
    evaluate: EvaluateConfig = EvaluateConfig()

    @property
    def image_size(self) -> int:
        """Pixels per side of the images."""
        return self.generator.image_size

    @property
    def channels(self) -> int:
        return self.generator.out_channels

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        if self.generator.weights is None:
            for name in ("discriminator", "train"):
                if getattr(self, name) is None:
                    raise FieldError(
                        f"this base has no section {name}, so it cannot be trained: set generator.weights to the path "
                        "of published weights",
                        "generator.weights",
                        name,
                    )
        known = DATA_SOURCES[self.data.source].num_classes
        if known is not None and self.generator.num_classes != known:
            raise FieldError(
                f"generator.num_classes is {self.generator.num_classes}, but data.source {self.data.source} has "
                f"{known}: use {known}",
                "generator.num_classes",
                "data.source",
            )
        return self
