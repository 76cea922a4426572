"""What a picture is: one way from encoded bytes to grey or RGB pixels, whatever holds the bytes.

The format is that of the content, whatever the name says. Pixels are those that a viewer shows: upright as EXIF or XMP
has it, transparency over white, of an animation the first frame. 16-bit grey becomes the nearest of 256 levels; of
16-bit colour the upper 8 bits count. CMYK is as Adobe's programs write it in JPEGs. Colour profiles are not applied.
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
"""A larger image is refused: decoded, it would take about 1 GB of a thread's memory."""
PREFIX_BYTES = 16
"""By which Pillow tells formats."""
WHITE = (255, 255, 255)
ORIENTATION = 0x0112
"""EXIF's tag."""
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation → what makes it upright."""
ON_THEIR_SIDE = (5, 6, 7, 8)
BROKEN = (
    *(OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, OverflowError, struct.error, zlib.error),
    Image.DecompressionBombError,
)
"""What Pillow raises for bytes that are no image."""


class NoImage(Exception):
    """There are no bytes where an image should be, or they make none that can be shown."""


def decode(encoded: bytes, mode: Mode) -> Image.Image:
    """Grey or RGB pixels of an encoded image. Raises NoImage."""
    return in_8_bits(opened(encoded), mode)


def opened(encoded: bytes) -> Image.Image:
    """An image whose header was read and whose pixels are not decoded yet.

    Raises NoImage for bytes that are no image, and for images of more than MOST_PIXELS.
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
            f"its pixels are {'32-bit integers' if image.mode == 'I' else 'floats'} (mode {image.mode}), of which "
            "nothing says what is black and what white: save it with 8 bits a channel"
        )
    return image


def upright_size(image: Image.Image) -> tuple[int, int]:
    """(width, height) as it is shown, from the header alone."""
    return (image.height, image.width) if _orientation(image) in ON_THEIR_SIDE else image.size


def in_8_bits(image: Image.Image, mode: Mode) -> Image.Image:
    """The pixels of an opened image, upright and without transparency. Raises NoImage where they cannot be decoded."""
    is_16_bits = any(";16" in str(tile.args) for tile in getattr(image, "tile", ()))
    try:
        image.load()
        if is_16_bits and isinstance(key := image.info.get("transparency"), tuple):
            image.info["transparency"] = tuple(value >> 8 for value in key)  # as the pixels are by now
        turn = UPRIGHT.get(_orientation(image))
        image = _opaque(image).convert(mode)
    except BROKEN as error:
        raise NoImage(str(error) or type(error).__name__) from error
    return image if turn is None else image.transpose(turn)


def _identified(encoded: bytes) -> Image.Image:
    """As `Image.open`, which also warns of images above a limit of its own, and for the whole process."""
    problem = "no image format begins like this"
    for register in (Image.preinit, Image.init):  # the usual formats; all that there are
        register()
        for name in Image.ID:
            factory, accepts = Image.OPEN[name]
            try:
                if accepts is None or accepts(encoded[:PREFIX_BYTES]) is True:
                    return factory(io.BytesIO(encoded), "")
            except BROKEN as error:  # another format may begin alike
                if accepts is not None and len(encoded) >= PREFIX_BYTES:
                    problem = f"it begins as {name} does, and goes on otherwise: {error}"
    raise NoImage(problem)


def _orientation(image: Image.Image) -> int:
    """EXIF's number, 1 where there is none."""
    try:
        # Not PNG's own getexif, which decodes the pixels to look behind them: once they are, it is here as well.
        return int(Image.Image.getexif(image).get(ORIENTATION, 1))
    except BROKEN:
        return 1  # cameras and editors leave damaged EXIF behind; the pixels are sound


def _opaque(image: Image.Image) -> Image.Image:
    """8 bits a channel, transparency over white."""
    if image.mode.startswith("I;16"):  # Pillow would make all above 255 white
        values = np.asarray(image)
        grey = ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
        if "transparency" in image.info:  # one grey value stands for it
            grey[values == image.info["transparency"]] = WHITE[0]
        return Image.fromarray(grey)
    if image.mode == "LAB":  # Pillow knows no way from there to grey
        image = image.convert("RGB")
    if not image.has_transparency_data:
        return image
    if image.mode == "La":  # Pillow knows one way from there
        image = image.convert("LA")
    image = image.convert("RGBA")
    canvas = Image.new("RGB", image.size, WHITE)
    canvas.paste(image, mask=image)
    return canvas
