"""Memory that extractors need on their device, counted from their layers. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from assay.workload import Stage

if TYPE_CHECKING:
    from imaging.config import EvaluateConfig

FP32, INT64 = 4, 8
"""Bytes of an element."""
WIDTHS = {"fp32": FP32, "bf16": 2}
"""evaluate.inception_precision → bytes of an element of a feature map."""
INCEPTION_VALUES = 23_885_392
"""Elements of Inception's state dict, whose batch normalizations have four values per channel."""
FOLDED_VALUES = 23_833_744
"""Elements of the copy that computes, with the normalizations folded into biases."""
RESIZED = 3 * 300**2
"""Elements of an image as it is resized, in 32 bits, of which the network sees 299 × 299."""
CONVOLVED = 3 * 299**2 + (32 + 64) * 147**2
"""Elements per image at the largest convolution: the network's input, and the input and output of Conv2d_2b_3x3."""
POOLED, INDICES = 64 * (147**2 + 73**2), 64 * 73**2
"""Elements per image as that output is pooled, and the indices of the maxima, in 64 bits."""


def of_inception(evaluate: EvaluateConfig, network: Mapping[str, Stage]) -> tuple[int, int]:
    """(bytes held, bytes per image at a time)."""
    width = WIDTHS[evaluate.inception_precision]
    largest = max(width * CONVOLVED, width * POOLED + INT64 * INDICES)
    return FP32 * INCEPTION_VALUES + width * FOLDED_VALUES, FP32 * RESIZED + largest


VISION_VALUES = {"dinov2": 304_367_616, "clip": 304_293_888}
"""Elements of the vision transformers' weights."""
WIDTH = 1024
TOKENS = {"dinov2": 1 + 16**2, "clip": 1 + 24**2}
TOKEN_VALUES = {"dinov2": 13, "clip": 16}
"""Values per token and channel at the largest layer, the MLP: four for what is hidden in it, as many for all that GELU
computes on the way, and those of the block's input, sums and normalization."""


def of_dinov2(evaluate: EvaluateConfig, network: Mapping[str, Stage]) -> tuple[int, int]:
    """(bytes held, bytes per image at a time)."""
    return _of_vision("dinov2")


def of_clip(evaluate: EvaluateConfig, network: Mapping[str, Stage]) -> tuple[int, int]:
    """(bytes held, bytes per image at a time)."""
    return _of_vision("clip")


def _of_vision(name: str) -> tuple[int, int]:
    return FP32 * VISION_VALUES[name], FP32 * TOKENS[name] * WIDTH * TOKEN_VALUES[name]
