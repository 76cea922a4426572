"""What a picture is, alike in every source that holds encoded images: upright, opaque, 8 bits, of bounded size."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

import imaging.data as imaging_data
from assay.errors import UserError
from image_files import SIZE, folder, lsun, parquet, zipped
from imaging.config import DataConfig
from imaging.data import open_source, resize

RGB: npt.NDArray[np.uint8] = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
GREY = RGB[..., 0]
ALPHA = np.where(np.arange(SIZE * SIZE).reshape(SIZE, SIZE) % 2 == 0, 0, 255).astype(np.uint8)
UPRIGHT_OF = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: x[::-1, ::-1].swapaxes(0, 1),
    8: lambda x: np.rot90(x),
}
"""EXIF orientation → what shows the stored pixels as they were taken."""


def encoded(image: Image.Image, kind: str = "png", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def array(pixels: npt.NDArray[Any], mode: str | None = None) -> Image.Image:
    image = Image.fromarray(np.ascontiguousarray(pixels))
    return image if mode is None else image.convert(mode)


def turned(orientation: int, kind: str) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(array(RGB), kind, exif=exif, **({"lossless": True} if kind == "webp" else {}))


def over_white(pixels: npt.NDArray[np.uint8], alpha: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return np.where(alpha[..., None] == 0, 255, pixels)


def rgb(grey: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(depth: int, colour: int, rows: npt.NDArray[Any], *chunks: bytes) -> bytes:
    """A PNG of samples (H, W or W·C), of kinds that Pillow does not write."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", SIZE, SIZE, depth, colour, 0, 0, 0))
    lines = b"".join(b"\0" + row.tobytes() for row in rows.astype(">u2" if depth == 16 else "u1"))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def enormous() -> bytes:
    """A header of 30,000×30,000 pixels: more must not be looked at."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"")


def palette() -> tuple[Image.Image, npt.NDArray[np.uint8]]:
    """64 colours, one a pixel."""
    image = Image.fromarray(np.arange(SIZE * SIZE, dtype=np.uint8).reshape(SIZE, SIZE), "P")
    image.putpalette(RGB.reshape(-1).tolist())
    return image, RGB


WIDE = np.random.default_rng(1).integers(0, 1 << 16, (SIZE, SIZE), dtype=np.uint16)
WIDE_RGB = np.random.default_rng(2).integers(0, 1 << 16, (SIZE, SIZE, 3), dtype=np.uint16)
FRAMES = {"save_all": True, "append_images": [array(255 - RGB)]}
STRIPES = np.repeat(np.array([[0], [255]] * 4), SIZE, axis=1)
FLAT = np.full((SIZE, SIZE, 3), (200, 30, 90), np.uint8)

FILES: dict[str, tuple[bytes, npt.NDArray[Any], int]] = {
    "RGB": (encoded(array(RGB)), RGB, 0),
    "grey": (encoded(array(GREY)), rgb(GREY), 0),
    "1 bit": (encoded(array(STRIPES.astype(np.uint8), "1")), rgb(STRIPES), 0),
    "RGBA": (encoded(array(np.dstack([RGB, ALPHA]))), over_white(RGB, ALPHA), 0),
    "RGBA WebP": (
        encoded(array(np.dstack([RGB, ALPHA])), "webp", lossless=True, exact=True),
        over_white(RGB, ALPHA),
        0,
    ),
    "half transparent": (
        encoded(Image.new("RGBA", (8, 8), (0, 100, 255, 128))),
        np.full((8, 8, 3), (127, 177, 255)),
        0,
    ),
    "LA": (encoded(Image.merge("LA", [array(GREY), array(ALPHA)])), over_white(rgb(GREY), ALPHA), 0),
    "one transparent colour": (
        encoded(array(RGB), transparency=tuple(RGB[2, 3].tolist())),
        np.where((RGB[2, 3] == RGB).all(axis=2, keepdims=True), 255, RGB),
        0,
    ),
    "one transparent grey": (
        encoded(array(GREY), transparency=int(GREY[0, 0])),
        rgb(np.where(GREY[0, 0] == GREY, 255, GREY)),
        0,
    ),
    "palette": (encoded(palette()[0]), RGB, 0),
    "palette, transparent": (
        encoded(palette()[0], transparency=bytes(ALPHA.reshape(-1).tolist())),
        over_white(RGB, ALPHA),
        0,
    ),
    "palette, one transparent": (
        encoded(palette()[0], transparency=5),
        np.where((np.arange(64).reshape(8, 8) == 5)[..., None], 255, RGB),
        0,
    ),
    "16-bit grey": (encoded(array(WIDE)), rgb((WIDE / 257).round()), 0),
    "16-bit grey, one transparent": (
        png(16, 0, WIDE, chunk(b"tRNS", struct.pack(">H", int(WIDE[1, 1])))),
        rgb(np.where(WIDE[1, 1] == WIDE, 255, (WIDE / 257).round())),
        0,
    ),
    "16-bit RGB": (png(16, 2, WIDE_RGB.reshape(SIZE, -1)), WIDE_RGB >> 8, 0),
    "16-bit RGB, one transparent": (
        png(
            16,
            2,
            WIDE_RGB.reshape(SIZE, -1),
            chunk(b"tRNS", np.asarray(WIDE_RGB[0, 0], dtype=">u2").tobytes()),
        ),
        np.where((WIDE_RGB[0, 0] >> 8 == WIDE_RGB >> 8).all(axis=-1, keepdims=True), 255, WIDE_RGB >> 8),
        0,
    ),
    "16-bit RGBA": (
        png(16, 6, np.dstack([WIDE_RGB, ALPHA.astype(np.uint16) * 257]).reshape(SIZE, -1)),
        over_white((WIDE_RGB >> 8).astype(np.uint8), ALPHA),
        0,
    ),
    "JPEG": (encoded(array(FLAT), "jpeg", quality=95), FLAT, 2),
    "CMYK JPEG": (encoded(array(FLAT, "CMYK"), "jpeg", quality=95), FLAT, 3),
    "BMP": (encoded(array(RGB), "bmp"), RGB, 0),
    "GIF": (encoded(palette()[0], "gif"), RGB, 0),
    "animated WebP": (encoded(array(RGB), "webp", lossless=True, **FRAMES), RGB, 0),
    "animated PNG": (encoded(array(RGB), "png", **FRAMES), RGB, 0),
    "animated GIF": (encoded(palette()[0], "gif", save_all=True, append_images=[array(FLAT)]), RGB, 0),
    "ICC profile": (encoded(array(RGB), icc_profile=b"not looked at"), RGB, 0),
    "damaged EXIF": (encoded(array(RGB), exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12"), RGB, 0),
} | {
    f"{kind} turned {number}": (turned(number, kind), turn(RGB), 0)
    for number, turn in UPRIGHT_OF.items()
    for kind in ("png", "webp")
}


SOURCES: list[Callable[[Path, list[bytes]], DataConfig]] = [folder, parquet, lsun, zipped]


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("write", SOURCES, ids=lambda write: write.__name__)
def test_every_kind_of_picture_is_the_same_in_every_source(
    tmp_path: Path, write: Callable[[Path, list[bytes]], DataConfig]
) -> None:
    data = write(tmp_path, [picture for picture, _, _ in FILES.values()]).model_copy(update={"crop": "none"})
    found = open_source(data, SIZE, 3).read(np.arange(len(FILES))).images.astype(int)
    for pixels, (name, (_, expected, tolerance)) in zip(found, FILES.items(), strict=True):
        assert np.abs(pixels - expected).max() <= tolerance, name
    grey = open_source(data, SIZE, 1).read(np.arange(len(FILES))).images[..., 0].astype(int)
    luma = found @ [0.299, 0.587, 0.114]
    wide = [name.startswith("16-bit grey") for name in FILES]
    assert (np.abs(grey - luma) <= 1).all(axis=(1, 2))[~np.array(wide)].all()
    assert (grey == found[..., 0])[np.array(wide)].all()


def test_a_jpeg_of_a_camera_is_upright_and_its_size_is_that_which_is_seen(tmp_path: Path) -> None:
    pixels = np.zeros((4, 8), np.uint8)
    pixels[:, :4] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    data = folder(tmp_path, [encoded(array(pixels), "jpeg", quality=95, exif=exif)]).model_copy(update={"crop": "none"})
    tall = open_source(data.model_copy(update={"crop": "centre"}), 4, 1).read(np.array([0])).images[0, ..., 0]
    assert (tall[0] > 128).all()
    assert (tall[-1] < 128).all()
    with pytest.raises(UserError, match=r"a_00\.png is 4×8, but data.crop none takes images of exactly 8×8"):
        imaging_data.check({"data": data.model_dump(), "image_size": 8, "channels": 1})


@pytest.mark.parametrize("write", SOURCES, ids=lambda write: write.__name__)
@pytest.mark.parametrize(
    ("picture", "told"),
    [
        (b"", "it is empty"),
        (b"<html>404</html>", "no image format begins like this"),
        (encoded(array(RGB))[:-30], "truncated"),
        (encoded(array(RGB))[:40], "it begins like PNG, but cannot be read as such"),
        (enormous(), "30,000×30,000 pixels, 900 million, allowed: 100 million; make it smaller"),
    ],
    ids=["empty", "page", "truncated", "header", "enormous"],
)
def test_what_is_no_picture_is_told_by_its_name(
    tmp_path: Path, write: Callable[[Path, list[bytes]], DataConfig], picture: bytes, told: str
) -> None:
    data = write(tmp_path, [encoded(array(RGB)), picture]).model_copy(update={"crop": "none"})
    with pytest.raises(UserError, match=rf"(a_01\.png|row 1 of|key 0001 of).* cannot be decoded.*{told}"):
        open_source(data, SIZE, 3).read(np.array([1]))


class TestCrops:
    @pytest.mark.parametrize(("width", "height"), [(1, 10_000), (10_000, 1), (3, 30_000)])
    @pytest.mark.parametrize("crop", ["centre", "random"])
    def test_a_thin_image_becomes_none_that_is_larger_than_it_needs(
        self, tmp_path: Path, width: int, height: int, crop: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        largest = []
        of_pillow = Image.Image.resize

        def seen(self: Image.Image, size: tuple[int, int], *rest: Any, **more: Any) -> Image.Image:
            largest.append(size[0] * size[1])
            return of_pillow(self, size, *rest, **more)

        ramp = np.linspace(0, 255, width * height).round().astype(np.uint8).reshape(height, width)
        data = folder(tmp_path, [encoded(array(ramp))]).model_copy(update={"crop": crop})
        monkeypatch.setattr(Image.Image, "resize", seen)
        found = open_source(data, 256, 1).read(np.array([0]), np.full((1, 3), 0.5)).images
        assert found.shape == (1, 256, 256, 1)
        assert max(largest) <= 1 << 24
        assert np.abs(found.astype(int) - 127).max() <= 5, "its middle"

    def test_a_window_alone_is_what_the_whole_would_show(self, monkeypatch: pytest.MonkeyPatch) -> None:
        y, x = np.mgrid[:90, :14]
        smooth = np.stack([2 * y, 12 * x, 127 + 100 * np.sin(y / 9)], axis=2).astype(np.uint8)
        whole = [resize.centre_crop(array(smooth), 16), resize.random_crop(array(smooth), 16, [0.9, 0.7, 0.2])]
        monkeypatch.setattr(resize, "MOST_RESIZED", 1)
        alone = [resize.centre_crop(array(smooth), 16), resize.random_crop(array(smooth), 16, [0.9, 0.7, 0.2])]
        for one, other in zip(whole, alone, strict=True):
            assert np.abs(np.asarray(one, int) - np.asarray(other, int)).max() <= 2, "rounding"

    def test_one_smaller_than_the_crop_is_enlarged(self, tmp_path: Path) -> None:
        data = folder(tmp_path, [encoded(array(FLAT[:1, :1]))]).model_copy(update={"crop": "centre"})
        assert (open_source(data, 8, 3).read(np.array([0])).images == FLAT).all()
