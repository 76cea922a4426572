"""The published crops, which make images of any size square: centred, at random, and LSUN's."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from PIL import Image

MOST_RESIZED = 1 << 24
"""Most pixels to which a whole image is resized before it is cropped."""
MIN_SHARE, MAX_SHARE = 0.8, 1.0
"""Range of the share of the shorter side that a random crop keeps."""


Corner = Callable[[int, int], tuple[int, int]]
"""(width, height) of a resized image → (left, top) of the window that is kept."""


def centre_crop(image: Image.Image, size: int) -> Image.Image:
    """Resize the shorter side to `size`, and keep the middle `size`×`size` pixels."""
    return _window(_halved(image, size), size, size, _centred(size))


def box_crop(image: Image.Image, size: int) -> Image.Image:
    """As `centre_crop`, but resized once, with a box filter, as in the published datasets/lsun_bedroom.py."""
    return _window(image, size, size, _centred(size), Image.Resampling.BOX)


def random_crop(image: Image.Image, size: int, numbers: Sequence[float]) -> Image.Image:
    """Resize the shorter side to between size/1.0 and size/0.8, and keep a random window of `size`×`size` pixels.

    `numbers` are three in [0, 1), which choose the shorter side, the top edge and the left edge, each uniformly.
    """
    smallest, largest = math.ceil(size / MAX_SHARE), math.ceil(size / MIN_SHARE)
    u_size, u_top, u_left = numbers
    shorter = smallest + int(u_size * (largest - smallest + 1))
    return _window(
        _halved(image, shorter),
        shorter,
        size,
        lambda width, height: (int(u_left * (width - size + 1)), int(u_top * (height - size + 1))),
    )


def _centred(size: int) -> Corner:
    return lambda width, height: ((width - size) // 2, (height - size) // 2)


def _halved(image: Image.Image, shorter: int) -> Image.Image:
    """The image, halved with a box filter while its shorter side is at least twice `shorter`."""
    while min(image.size) >= 2 * shorter:
        image = image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX)
    return image


def _window(
    image: Image.Image,
    shorter: int,
    size: int,
    corner: Corner,
    resampling: Image.Resampling = Image.Resampling.BICUBIC,
) -> Image.Image:
    """Resize the shorter side to `shorter`; keep the `size`×`size` pixels at (left, top) = corner(width, height)."""
    scale = shorter / min(image.size)
    width, height = round(image.width * scale), round(image.height * scale)
    left, top = corner(width, height)
    if width * height <= MOST_RESIZED:
        resized = image.resize((width, height), resampling)
        return resized.crop((left, top, left + size, top + size))
    # Resizing all of a very elongated image would take too much memory: apply the same filter to the window alone.
    per_x, per_y = image.width / width, image.height / height
    box = (
        left * per_x,
        top * per_y,
        min((left + size) * per_x, image.width),
        min((top + size) * per_y, image.height),
    )
    return image.resize((size, size), resampling, box)
