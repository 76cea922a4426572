"""Floating-point operations per image; a multiplication and its addition are two. Imports no torch."""

from __future__ import annotations

from biggan.config import FIRST_SIZE, FIRST_WIDTH, REDUCTION, Config, DiscriminatorConfig, GeneratorConfig

BACKWARD_FORWARDS = 2
"""The cost of a backward pass in forward passes."""


def drawing_flops(c: GeneratorConfig) -> int:
    """FLOPs to draw an image: convolutions, linear layers and attention."""
    size, condition = FIRST_SIZE, 2 * c.z_dim
    total = 2 * condition * FIRST_SIZE**2 * FIRST_WIDTH * c.channel_width
    for index, (doubles, width_in, width_out) in enumerate(c.layers):
        inputs, outputs = c.channel_width * width_in, c.channel_width * width_out
        if index == c.attention_layer_position:
            total += _attention(inputs, size)
        middle = inputs // REDUCTION
        total += _conv(inputs, middle, 1, size)
        size *= 2 if doubles else 1
        total += 2 * _conv(middle, middle, 3, size) + _conv(middle, outputs, 1, size)
        total += 2 * 2 * condition * (inputs + 3 * middle)  # scale and offset of each batch norm
    return total + _conv(c.channel_width, c.channel_width, 3, size)


def judging_flops(c: DiscriminatorConfig, image_size: int, channels: int) -> int:
    """FLOPs of the discriminator's forward pass on an image."""
    size = image_size
    total = _conv(channels, c.channel_width * c.layers[0][1], 3, size)
    for index, (halves, width_in, width_out) in enumerate(c.layers):
        inputs, outputs = c.channel_width * width_in, c.channel_width * width_out
        if index == c.attention_layer_position:
            total += _attention(inputs, size)
        middle = outputs // REDUCTION
        total += _conv(inputs, middle, 1, size) + 2 * _conv(middle, middle, 3, size)
        size //= 2 if halves else 1
        total += _conv(middle, outputs, 1, size) + _conv(inputs, outputs - inputs, 1, size)
    return total


def step_flops(c: Config) -> int:
    """FLOPs of a training step per image of its batch: the discriminator's steps and the generator's."""
    assert c.discriminator is not None
    assert c.train is not None
    draw, judge = drawing_flops(c.generator), judging_flops(c.discriminator, c.image_size, c.channels)
    training = 1 + BACKWARD_FORWARDS
    return c.train.discriminator_steps * (draw + 2 * training * judge) + training * (draw + judge)


def _conv(inputs: int, outputs: int, kernel: int, size: int) -> int:
    return 2 * inputs * outputs * kernel**2 * size**2


def _attention(channels: int, size: int) -> int:
    positions, keys = size**2, size**2 // 4
    projections = _conv(channels, channels // 8, 1, size) * 2 + _conv(channels, channels // 2, 1, size) * 2
    return projections + 2 * positions * keys * (channels // 8 + channels // 2)
