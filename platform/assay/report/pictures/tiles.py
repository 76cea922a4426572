"""Draw pictures with titles in rows on one sheet. Small pictures are enlarged by whole factors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.report.figures import new_figure, save

DPI = 100
LEAST_WIDTH = 340
"""Pixels: the least width of a picture, and so the width of its title."""
GAP = 16
HEAD_PIXELS = 44
HEAD_CHARACTER_PIXELS = 13
LINE_PIXELS = 20


@dataclass(frozen=True)
class Tile:
    picture: Path
    title: str
    color: str = "black"


def draw_tiles(heading: str, tiles: Sequence[Tile], across: int, path: Path, least_width: int = LEAST_WIDTH) -> Path:
    """Draw the tiles in order, `across` per row, to `path`."""
    from matplotlib.image import imread

    pictures = [imread(tile.picture) for tile in tiles]
    shapes = [_shown_shape(picture.shape[0], picture.shape[1], least_width) for picture in pictures]
    # Everything is laid out in whole pixels, so that all pixels of an enlarged picture become squares of equal size.
    cell_width = max(least_width, *(width for _, width in shapes)) + GAP
    title_height = LINE_PIXELS * max(tile.title.count("\n") + 1 for tile in tiles) + GAP // 2
    cell_height = max(height for height, _ in shapes) + title_height + GAP
    width = max(across * cell_width + GAP, len(heading) * HEAD_CHARACTER_PIXELS)
    height = -(-len(tiles) // across) * cell_height + HEAD_PIXELS
    figure = new_figure(width / DPI, height / DPI, DPI)
    figure.text(GAP / width, 1 - 30 / height, heading, fontsize=14, fontweight="bold", va="baseline")
    for index, (tile, picture, (tall, wide)) in enumerate(zip(tiles, pictures, shapes, strict=True)):
        left = GAP + index % across * cell_width
        bottom = height - HEAD_PIXELS - index // across * cell_height - title_height - tall
        axes: Any = figure.add_axes((left / width, bottom / height, wide / width, tall / height))
        is_enlarged = wide >= picture.shape[1]
        axes.imshow(picture, cmap="gray", aspect="auto", interpolation="nearest" if is_enlarged else "antialiased")
        axes.set_axis_off()
        axes.set_title(tile.title, fontsize=10, loc="left", color=tile.color, linespacing=1.3)
    return save(figure, path)


def _shown_shape(height: int, width: int, least_width: int) -> tuple[int, int]:
    """Height and width: small pictures are enlarged by a whole factor, large ones shrunk to fit on a screen."""
    if width > 2 * least_width:
        return round(height * 2 * least_width / width), 2 * least_width
    factor = max(1, least_width // width)
    return height * factor, width * factor
