"""The crops, against a computation of our own on arrays."""

import io
import math
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import pytest
from PIL import Image

from imaging.config import DataConfig
from imaging.data import open_source
from imaging.data.resize import centre_crop, random_crop

Array = np.ndarray[Any, Any]


def photo(width: int, height: int) -> Image.Image:
    """Smooth, unsymmetric, and without the extremes where bicubic rounding would clip."""
    y, x = np.mgrid[:height, :width]
    layers = [60 + 120 * x / width, 60 + 120 * y / height, 120 + 60 * np.sin(x / 9 + y / 5)]
    return Image.fromarray(np.stack(layers, axis=-1).astype(np.uint8))


def box(x: Array) -> Array:
    return ((x > -0.5) & (x <= 0.5)).astype(float)


def cubic(x: Array) -> Array:
    """Keys' kernel with a = −1/2, as Pillow's BICUBIC."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def weights(given: int, wanted: int, kernel: Any, support: float) -> Array:
    """(wanted, given): what each given pixel adds to each wanted one. The kernel widens with the scale."""
    scale = given / wanted
    reach = max(scale, 1.0)
    matrix = np.zeros((wanted, given))
    for row in range(wanted):
        centre = (row + 0.5) * scale
        first = max(0, int(centre - support * reach + 0.5))
        last = min(given, int(centre + support * reach + 0.5))
        pixels = np.arange(first, last)
        matrix[row, first:last] = kernel((pixels - centre + 0.5) / reach)
    return matrix / matrix.sum(axis=1, keepdims=True)


def resized(image: Array, shorter: int) -> Array:
    """(H, W, C) → the published resize, in float64."""
    while min(image.shape[:2]) >= 2 * shorter:
        height, width = image.shape[0] // 2, image.shape[1] // 2
        image = stretch(image, height, width, box, 0.5)
    scale = shorter / min(image.shape[:2])
    return stretch(image, round(image.shape[0] * scale), round(image.shape[1] * scale), cubic, 2.0)


def stretch(image: Array, height: int, width: int, kernel: Any, support: float) -> Array:
    rows = weights(image.shape[0], height, kernel, support)
    columns = weights(image.shape[1], width, kernel, support)
    return np.einsum("wx,hxc->hwc", columns, np.einsum("hy,yxc->hxc", rows, image))


SIZES = [(32, 32), (33, 32), (32, 49), (66, 64), (64, 67), (150, 105), (20, 25), (250, 45)]


def test_images_of_an_lmdb_are_resized_once_by_box_filter_as_lsuns_were(tmp_path: Path) -> None:
    sizes = [(32, 48), (66, 64), (150, 105), (20, 25)]
    with lmdb.open(str(tmp_path), map_size=1 << 20) as environment, environment.begin(write=True) as transaction:
        for number, (width, height) in enumerate(sizes):
            encoded = io.BytesIO()
            photo(width, height).save(encoded, "png")
            transaction.put(f"{number}".encode(), encoded.getvalue())
    images = open_source(DataConfig(source="lmdb", path=str(tmp_path)), 32, 3).read(np.arange(len(sizes))).images
    for image, (width, height) in zip(images, sizes, strict=True):
        scale = 32 / min(width, height)
        whole = stretch(
            np.asarray(photo(width, height)).astype(float), round(height * scale), round(width * scale), box, 0.5
        )
        top, left = (whole.shape[0] - 32) // 2, (whole.shape[1] - 32) // 2
        np.testing.assert_allclose(image.astype(float), whole[top : top + 32, left : left + 32], atol=1.1)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_centre_crop_is_the_published_one(width: int, height: int) -> None:
    image, size = photo(width, height), 32
    whole = resized(np.asarray(image).astype(float), size)
    top, left = (whole.shape[0] - size) // 2, (whole.shape[1] - size) // 2
    expected = whole[top : top + size, left : left + size]
    # Pillow rounds to bytes after each pass, two a resize.
    np.testing.assert_allclose(np.asarray(centre_crop(image, size)).astype(float), expected, atol=3.1)
    assert np.abs(np.asarray(centre_crop(image, size)) - expected).mean() < 0.6


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("numbers", [(0.0, 0.0, 0.0), (0.31, 0.7, 0.2), (1 - 2**-53,) * 3])
def test_the_random_crop_is_the_published_one(width: int, height: int, numbers: tuple[float, ...]) -> None:
    image, size = photo(width, height), 32
    shorter = 32 + math.floor(numbers[0] * 9)
    assert 32 <= shorter <= 40 == math.ceil(32 / 0.8)
    whole = resized(np.asarray(image).astype(float), shorter)
    top = math.floor(numbers[1] * (whole.shape[0] - size + 1))
    left = math.floor(numbers[2] * (whole.shape[1] - size + 1))
    found = np.asarray(random_crop(image, size, numbers)).astype(float)
    np.testing.assert_allclose(found, whole[top : top + size, left : left + size], atol=3.1)
    assert np.abs(found - whole[top : top + size, left : left + size]).mean() < 0.6


def test_every_size_and_place_is_as_likely() -> None:
    """An image where each pixel says where it is, at its own size: the window's corner is read from it."""
    y, x = np.mgrid[:80, :100]
    image = Image.fromarray(np.stack([x, y, 0 * x], axis=-1).astype(np.uint8))
    draws = np.random.default_rng(0).random((4000, 2))
    corners = [random_crop(image, 64, (1 - 2**-53, *draw)).getpixel((0, 0))[:2] for draw in draws]  # type: ignore[index]
    assert {left for left, _ in corners} == set(range(37))
    assert {top for _, top in corners} == set(range(17))
    counts = np.bincount([top for _, top in corners])
    assert counts.min() > 0.7 * 4000 / 17


class TestOfASource:
    def source(self, path: Path, crop: str) -> Any:
        for index in range(20):
            photo(90 + 3 * index, 100).save(path / f"a_{index:02}.png")
        return open_source(DataConfig(source="folder", path=str(path), crop=crop), 32, 3, threads=2)

    def test_each_image_has_its_own_crop(self, tmp_path: Path) -> None:
        source = self.source(tmp_path, "random")
        indices, crops = np.array([7, 2, 11, *range(20)]), np.random.default_rng(0).random((23, 3))
        images, _ = source.read(indices, crops)
        for index, numbers, image in zip(indices, crops, images, strict=True):
            alone = random_crop(photo(90 + 3 * int(index), 100), 32, numbers)
            np.testing.assert_array_equal(image, np.asarray(alone))

    def test_without_numbers_the_centre_is_taken(self, tmp_path: Path) -> None:
        images, _ = self.source(tmp_path, "random").read(np.array([4]))
        np.testing.assert_array_equal(images[0], np.asarray(centre_crop(photo(102, 100), 32)))

    def test_numbers_do_not_matter_to_a_centre_crop(self, tmp_path: Path) -> None:
        source, indices = self.source(tmp_path, "centre"), np.arange(20)
        with_numbers = source.read(indices, np.random.default_rng(0).random((20, 3)))
        np.testing.assert_array_equal(with_numbers.images, source.read(indices).images)

    def test_arrays_are_cropped_as_files_are(self, tmp_path: Path) -> None:
        pixels = np.stack([np.asarray(photo(90, 100))] * 2)
        np.savez(tmp_path / "large.npz", pixels)
        data = DataConfig(source="npz", path=str(tmp_path / "large.npz"))
        images, _ = open_source(data, 32, 3).read(np.array([1]))
        np.testing.assert_array_equal(images[0], np.asarray(centre_crop(photo(90, 100), 32)))
