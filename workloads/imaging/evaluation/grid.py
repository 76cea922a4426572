"""Samples as one picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

GRID = "samples.png"
GRID_SIDE = 10
SMALLEST_TILE = 32
"""Pixels: smaller images are enlarged by whole factors, so that a person sees them."""


def save_grid(images: npt.NDArray[np.uint8], path: Path, columns: int = GRID_SIDE) -> None:
    """Images uint8 (N, H, W, C) as one PNG, a row after another; with balanced labels a column is a class."""
    height, width = images.shape[1:3]
    factor = max(1, -(-SMALLEST_TILE // height))
    gap = max(1, height * factor // 16)
    rows = -(-len(images) // columns)
    tile_h, tile_w = height * factor + gap, width * factor + gap
    canvas = np.full((rows * tile_h + gap, columns * tile_w + gap, images.shape[3]), 255, dtype=np.uint8)
    for index, image in enumerate(images):
        top, left = gap + index // columns * tile_h, gap + index % columns * tile_w
        enlarged = image.repeat(factor, axis=0).repeat(factor, axis=1)
        canvas[top : top + height * factor, left : left + width * factor] = enlarged
    Image.fromarray(canvas[..., 0] if canvas.shape[2] == 1 else canvas).save(path)
