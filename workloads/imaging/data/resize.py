"""How an image of any size becomes a square: the published centre crop, and the published random crop."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from PIL import Image

MOST_RESIZED = 1 << 24
"""Pixels of an image that is resized as a whole before the window is cut out of it."""
MIN_SHARE, MAX_SHARE = 0.8, 1.0
"""How much of the shorter side a random crop keeps."""


def centre_crop(image: Image.Image, size: int) -> Image.Image:
    """The middle `size`×`size` pixels, once the shorter side is `size`."""
    return _window(image, size, size, lambda width, height: ((width - size) // 2, (height - size) // 2))


def random_crop(image: Image.Image, size: int, numbers: Sequence[float]) -> Image.Image:
    """A window of `size`×`size` pixels, once the shorter side is size/0.8 to size/1.0.

    `numbers` are three in [0, 1): they choose the shorter side, the top edge and the left edge, each uniformly.
    """
    smallest, largest = math.ceil(size / MAX_SHARE), math.ceil(size / MIN_SHARE)
    which_size, which_top, which_left = numbers
    shorter = smallest + int(which_size * (largest - smallest + 1))
    return _window(
        image,
        shorter,
        size,
        lambda width, height: (int(which_left * (width - size + 1)), int(which_top * (height - size + 1))),
    )


def _window(image: Image.Image, shorter: int, size: int, corner: Callable[[int, int], tuple[int, int]]) -> Image.Image:
    """`size`×`size` pixels of the image with a shorter side of `shorter`, from the corner (left, top) that `corner`
    chooses in that (width, height).

    The image is halved by box filter while at least twice too large, then resized by bicubic filter.
    """
    while min(image.size) >= 2 * shorter:
        image = image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX)
    scale = shorter / min(image.size)
    width, height = round(image.width * scale), round(image.height * scale)
    left, top = corner(width, height)
    if width * height <= MOST_RESIZED:
        resized = image.resize((width, height), Image.Resampling.BICUBIC)
        return resized.crop((left, top, left + size, top + size))
    # A thin image would become far larger than it is: the same filter, at the window's pixels alone.
    per_x, per_y = image.width / width, image.height / height
    box = (
        left * per_x,
        top * per_y,
        min((left + size) * per_x, image.width),
        min((top + size) * per_y, image.height),
    )
    return image.resize((size, size), Image.Resampling.BICUBIC, box)
