"""Memory that drawing images needs on its device, counted from the layers. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from assay.workload import Memory
from biggan.config import FIRST_SIZE, FIRST_WIDTH, REDUCTION, GeneratorConfig
from imaging.evaluation.graph import BATCH_SIZE

FP32 = 4
"""Bytes of an element."""


def drawing_memory(c: GeneratorConfig, batch_size: int) -> Memory:
    """What an actor that draws images needs."""
    held = sum(_weights(c)) + 2 * c.n_stats * sum(_normalised(c))
    moments = tuple((FP32 * beside, FP32 * per_image) for beside, per_image in _moments(c))
    return Memory(FP32 * held, moments, at_a_time=batch_size, setting=BATCH_SIZE)


def _weights(c: GeneratorConfig) -> Iterator[int]:
    """Elements of each weight."""
    condition = 2 * c.z_dim
    yield c.num_classes * c.z_dim
    yield (condition + 1) * FIRST_SIZE**2 * FIRST_WIDTH * c.channel_width
    for index, (_, width_in, width_out) in enumerate(c.layers):
        inputs, outputs = c.channel_width * width_in, c.channel_width * width_out
        middle = inputs // REDUCTION
        if index == c.attention_layer_position:
            yield from (inputs * inputs // 8, inputs * inputs // 8, inputs * inputs // 2, inputs * inputs // 2)
        yield from (inputs * middle, 9 * middle**2, 9 * middle**2, middle * outputs)
    for channels in _normalised(c):
        yield from (condition * channels, condition * channels)
    yield 9 * c.channel_width**2


def _normalised(c: GeneratorConfig) -> Iterator[int]:
    """Channels of each batch norm."""
    for _, width_in, _ in c.layers:
        inputs = c.channel_width * width_in
        yield from (inputs, *(3 * (inputs // REDUCTION,)))
    yield c.channel_width


def _moments(c: GeneratorConfig) -> Iterator[tuple[int, int]]:
    """Elements that are held at once, beside the images and per image: the input of a block, which the skip needs, and
    what the step in hand makes. A batch norm holds its input, that normalised, scaled, and with the offset; a layer its
    weight divided by the spectral norm, and a convolution also in the order in which it multiplies."""
    size, first = FIRST_SIZE, FIRST_SIZE**2 * FIRST_WIDTH * c.channel_width
    yield 2 * c.z_dim * first, 2 * first
    for index, (doubles, width_in, width_out) in enumerate(c.layers):
        inputs, outputs = c.channel_width * width_in, c.channel_width * width_out
        middle, before = inputs // REDUCTION, inputs * size**2
        if index == c.attention_layer_position:
            yield 0, 2 * before + 2 * size**2 * (size**2 // 4)  # the scores, and their softmax
        yield 0, 4 * before
        size *= 2 if doubles else 1
        yield 0, before + 4 * middle * size**2
        yield 2 * 9 * middle**2, before + 3 * middle * size**2
        yield 0, before + 3 * outputs * size**2
    yield 0, 4 * c.channel_width * size**2
