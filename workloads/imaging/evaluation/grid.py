"""Images in rows and columns, as one picture."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

GRID = "samples.png"
GRID_SIDE = 10
SMALLEST_TILE = 32
"""Height in pixels below which images are enlarged, by whole factors."""

Pixels = npt.NDArray[np.uint8]


def save_grid(images: Pixels, path: Path) -> None:
    """Images uint8 (N, H, W, C) in rows of GRID_SIDE; with balanced labels, a column is a class."""
    rows = -(-len(images) // GRID_SIDE)
    cells = np.full((rows * GRID_SIDE, *images.shape[1:]), 255, dtype=np.uint8)
    cells[: len(images)] = images
    save_panel(cells.reshape(rows, GRID_SIDE, *images.shape[1:]), path)


def save_panel(images: Pixels, path: Path, wide_after: Collection[int] = (), tall_after: Collection[int] = ()) -> None:
    """Images uint8 (rows, columns, H, W, C) on white, with wide gaps after the given columns and rows."""
    rows, columns, height, width, channels = images.shape
    factor = max(1, -(-SMALLEST_TILE // height))
    tile_h, tile_w = height * factor, width * factor
    gap = max(1, tile_h // 16)
    tops = _offsets(rows, tile_h, gap, tall_after)
    lefts = _offsets(columns, tile_w, gap, wide_after)
    canvas = np.full((tops[-1] + tile_h + gap, lefts[-1] + tile_w + gap, channels), 255, dtype=np.uint8)
    enlarged = images.repeat(factor, axis=2).repeat(factor, axis=3)
    for row, top in enumerate(tops):
        for column, left in enumerate(lefts):
            canvas[top : top + tile_h, left : left + tile_w] = enlarged[row, column]
    Image.fromarray(canvas[..., 0] if channels == 1 else canvas).save(path)


def _offsets(count: int, size: int, gap: int, wide_after: Collection[int]) -> list[int]:
    """Where each tile starts, in pixels."""
    wide = 4 * gap
    return [gap + index * (size + gap) + wide * sum(after < index for after in wide_after) for index in range(count)]
