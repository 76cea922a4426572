"""Decodes images to grey or RGB pixels, in the same way for all data sources.

The format is recognised by the content, not by the name. Pixels are those that a viewer shows: rotated as EXIF or XMP
says, transparency over white, the first frame of an animation. 16-bit grey is rounded to 256 levels; 16-bit colour
keeps its upper 8 bits. CMYK is read as Adobe's programs write it in JPEGs. Colour profiles are not applied.
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import Literal

import numpy as np
from PIL import Image

Mode = Literal["L", "RGB"]
MOST_PIXELS = 100_000_000
"""Larger images are refused: decoding one would take about 1 GB of memory per thread."""
PREFIX_BYTES = 16
"""How many leading bytes Pillow recognises formats by."""
WHITE = (255, 255, 255)
ORIENTATION = 0x0112
"""EXIF tag."""
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation → the operation that makes the image upright."""
ON_THEIR_SIDE = (5, 6, 7, 8)
BROKEN = (
    *(OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, OverflowError, struct.error, zlib.error),
    Image.DecompressionBombError,
)
"""What Pillow raises for bytes that are not an image."""


class NoImage(Exception):
    """The bytes of an image are missing, or cannot be decoded."""


def opened(encoded: bytes) -> Image.Image:
    """An image with its header read and its pixels not decoded yet.

    Raises NoImage for bytes that are not an image, and for images of more than MOST_PIXELS.
    """
    if not encoded:
        raise NoImage("it is empty")
    image = _identified(encoded)
    if image.width * image.height > MOST_PIXELS:
        raise NoImage(
            f"it has {image.width:,}×{image.height:,} pixels, {image.width * image.height / 1e6:,.0f} million, "
            f"allowed: {MOST_PIXELS / 1e6:,.0f} million; make it smaller"
        )
    if image.mode in ("I", "F"):
        raise NoImage(
            f"its pixels are {'32-bit integers' if image.mode == 'I' else 'floats'} (mode {image.mode}), whose "
            "range from black to white is unknown: save it with 8 bits per channel"
        )
    return image


def upright_size(image: Image.Image) -> tuple[int, int]:
    """(width, height) of the upright image, from the header alone."""
    return (image.height, image.width) if _orientation(image) in ON_THEIR_SIDE else image.size


def in_8_bits(image: Image.Image, mode: Mode) -> Image.Image:
    """The pixels of an opened image, upright and without transparency. Raises NoImage if they cannot be decoded."""
    is_16_bits = any(";16" in str(tile.args) for tile in getattr(image, "tile", ()))
    try:
        image.load()
        if is_16_bits and isinstance(key := image.info.get("transparency"), tuple):
            image.info["transparency"] = tuple(value >> 8 for value in key)  # decoded pixels already have 8 bits
        turn = UPRIGHT.get(_orientation(image))
        image = _opaque(image).convert(mode)
    except BROKEN as error:
        raise NoImage(str(error) or type(error).__name__) from error
    return image if turn is None else image.transpose(turn)


def _identified(encoded: bytes) -> Image.Image:
    """As `Image.open`, but without its limit on pixels, which is global to the process."""
    problem = "no image format begins like this"
    for register in (Image.preinit, Image.init):  # the usual formats, then all formats
        register()
        for name in Image.ID:
            factory, accepts = Image.OPEN[name]
            try:
                if accepts is None or accepts(encoded[:PREFIX_BYTES]) is True:
                    return factory(io.BytesIO(encoded), "")
            except BROKEN as error:  # another format may begin with the same bytes
                if accepts is not None and len(encoded) >= PREFIX_BYTES:
                    problem = f"it begins like {name}, but cannot be read as such: {error}"
    raise NoImage(problem)


def _orientation(image: Image.Image) -> int:
    """EXIF orientation; 1 (upright) if there is none."""
    try:
        # Not PNG's own getexif, which decodes the pixels to find EXIF after them; after decoding, this finds it, too.
        return int(Image.Image.getexif(image).get(ORIENTATION, 1))
    except BROKEN:
        return 1  # some cameras and editors write damaged EXIF; the pixels are still intact


def _opaque(image: Image.Image) -> Image.Image:
    """8 bits per channel, transparency over white."""
    if image.mode.startswith("I;16"):  # Pillow would clip all values above 255 to white
        values = np.asarray(image)
        grey = ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
        if "transparency" in image.info:  # one grey value means transparent
            grey[values == image.info["transparency"]] = WHITE[0]
        return Image.fromarray(grey)
    if image.mode == "LAB":  # Pillow cannot convert it to grey directly
        image = image.convert("RGB")
    if not image.has_transparency_data:
        return image
    if image.mode == "La":  # Pillow converts it only to LA
        image = image.convert("LA")
    image = image.convert("RGBA")
    canvas = Image.new("RGB", image.size, WHITE)
    canvas.paste(image, mask=image)
    return canvas
