"""The paper's resize: halve by box filter while at least twice too large, then bicubic, then crop the centre."""

from __future__ import annotations

from PIL import Image


def centre_crop(image: Image.Image, size: int) -> Image.Image:
    """The image at `size`×`size` pixels."""
    while min(image.size) >= 2 * size:
        image = image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX)
    scale = size / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    left, top = (image.width - size) // 2, (image.height - size) // 2
    return image.crop((left, top, left + size, top + size))
