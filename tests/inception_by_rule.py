"""Weights for Inception that depend on the names of its keys alone, and images that depend on their size alone."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import torch
from torch import Tensor

ORACLE = Path(__file__).parent / "parity" / "oracle" / "inception.json"


def shapes() -> dict[str, tuple[int, ...]]:
    """Keys and shapes of the published file."""
    return {key: tuple(shape) for key, shape in json.loads(ORACLE.read_text())["keys"]}


def weights() -> dict[str, Tensor]:
    """The state dict that the recorded features were computed with: the rule is the file's own `rule`."""
    return {key: _weight(key, shape) for key, shape in shapes().items()}


def _weight(key: str, shape: tuple[int, ...]) -> Tensor:
    if key.endswith("num_batches_tracked"):
        return torch.tensor(0)
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(zlib.crc32(key.encode())))
    if key.endswith("conv.weight"):
        return drawn * (2 / drawn[0].numel()) ** 0.5
    if key == "fc.weight":
        return drawn * shape[1] ** -0.5
    if key.endswith("bn.weight"):
        return 1 + 0.1 * drawn
    return 0.5 + drawn.abs() if key.endswith("running_var") else 0.1 * drawn


def images(side: int) -> Tensor:
    """uint8 (2, 3, side, side)."""
    generator = torch.Generator().manual_seed(side)
    return torch.randint(0, 256, (2, 3, side, side), generator=generator, dtype=torch.uint8)
