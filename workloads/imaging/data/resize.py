"""The published centre crop and random crop, which make images of any size square."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from PIL import Image

MOST_RESIZED = 1 << 24
"""Most pixels to which a whole image is resized before it is cropped."""
MIN_SHARE, MAX_SHARE = 0.8, 1.0
"""Range of the share of the shorter side that a random crop keeps."""


def centre_crop(image: Image.Image, size: int) -> Image.Image:
    """Resize the shorter side to `size`, and keep the middle `size`×`size` pixels."""
    return _window(image, size, size, lambda width, height: ((width - size) // 2, (height - size) // 2))


def random_crop(image: Image.Image, size: int, numbers: Sequence[float]) -> Image.Image:
    """Resize the shorter side to between size/1.0 and size/0.8, and keep a random window of `size`×`size` pixels.

    `numbers` are three in [0, 1), which choose the shorter side, the top edge and the left edge, each uniformly.
    """
    smallest, largest = math.ceil(size / MAX_SHARE), math.ceil(size / MIN_SHARE)
    u_size, u_top, u_left = numbers
    shorter = smallest + int(u_size * (largest - smallest + 1))
    return _window(
        image,
        shorter,
        size,
        lambda width, height: (int(u_left * (width - size + 1)), int(u_top * (height - size + 1))),
    )


def _window(image: Image.Image, shorter: int, size: int, corner: Callable[[int, int], tuple[int, int]]) -> Image.Image:
    """Resize the shorter side to `shorter`, and keep the `size`×`size` pixels at (left, top) = corner(width, height).

    The image is halved with a box filter while it is at least twice too large, then resized with a bicubic filter.
    """
    while min(image.size) >= 2 * shorter:
        image = image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX)
    scale = shorter / min(image.size)
    width, height = round(image.width * scale), round(image.height * scale)
    left, top = corner(width, height)
    if width * height <= MOST_RESIZED:
        resized = image.resize((width, height), Image.Resampling.BICUBIC)
        return resized.crop((left, top, left + size, top + size))
    # Resizing all of a very elongated image would take too much memory: apply the same filter to the window alone.
    per_x, per_y = image.width / width, image.height / height
    box = (
        left * per_x,
        top * per_y,
        min((left + size) * per_x, image.width),
        min((top + size) * per_y, image.height),
    )
    return image.resize((size, size), Image.Resampling.BICUBIC, box)
