"""How an image of any size becomes a square: the published centre crop, and the published random crop."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image

MIN_SHARE, MAX_SHARE = 0.8, 1.0
"""How much of the shorter side a random crop keeps."""


def centre_crop(image: Image.Image, size: int) -> Image.Image:
    """The middle `size`×`size` pixels, once the shorter side is `size`."""
    image = _shrink(image, size)
    left, top = (image.width - size) // 2, (image.height - size) // 2
    return image.crop((left, top, left + size, top + size))


def random_crop(image: Image.Image, size: int, numbers: Sequence[float]) -> Image.Image:
    """A window of `size`×`size` pixels, once the shorter side is size/0.8 to size/1.0.

    `numbers` are three in [0, 1): they choose the shorter side, the top edge and the left edge, each uniformly.
    """
    smallest, largest = math.ceil(size / MAX_SHARE), math.ceil(size / MIN_SHARE)
    which_size, which_top, which_left = numbers
    image = _shrink(image, smallest + int(which_size * (largest - smallest + 1)))
    top = int(which_top * (image.height - size + 1))
    left = int(which_left * (image.width - size + 1))
    return image.crop((left, top, left + size, top + size))


def _shrink(image: Image.Image, shorter: int) -> Image.Image:
    """The image with a shorter side of `shorter`: halved by box filter while at least twice too large, then bicubic."""
    while min(image.size) >= 2 * shorter:
        image = image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX)
    scale = shorter / min(image.size)
    return image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
