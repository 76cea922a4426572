"""Stored images as a `Source`: decoded and cropped to one size, in several threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Literal

import numpy as np
from PIL import Image

from assay.errors import UserError
from imaging.data.decode import NoImage, in_8_bits, upright_size
from imaging.data.resize import box_crop, centre_crop, random_crop
from imaging.data.types import Crops, Examples, Images, Indices, Labels, Stored

PARALLEL_FROM = 16
"""Number of images per call from which several threads are faster than one."""


class DecodedImages:
    """A `Source` of images of size×size pixels, greyscale with 1 channel and RGB with 3."""

    def __init__(
        self,
        stored: Stored,
        labels: Labels,
        size: int,
        channels: int,
        crop: Literal["centre", "random", "none"],
        skip_broken: bool,
        threads: int,
        is_resized_once: bool = False,
    ) -> None:
        self.labels = labels
        self.skipped: set[str] = set()
        self.stored = stored
        self._size, self._channels, self._crop = size, channels, crop
        self._skip_broken = skip_broken
        self._centre_crop = box_crop if is_resized_once else centre_crop
        self._threads = threads
        # Threads help, since Pillow releases the GIL while it decodes and resizes.
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="decode") if threads > 1 else None

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, indices: Indices, crops: Crops | None = None) -> Examples:
        images = np.empty((len(indices), self._size, self._size, self._channels), dtype=np.uint8)
        labels = self.labels[indices]

        def fill(places: Indices) -> None:
            for place in places:
                index, images[place] = self._readable(int(indices[place]), None if crops is None else crops[place])
                labels[place] = self.labels[index]

        # In stored order, since neighbouring images share disk pages and row groups.
        places = np.argsort(indices, kind="stable")
        if self._pool is None or len(indices) < PARALLEL_FROM:
            fill(places)
        else:
            for _ in self._pool.map(fill, np.array_split(places, self._threads)):
                pass
        return Examples(images, labels)

    def check_sizes(self, indices: Indices) -> None:
        """Raise UserError for the first of these images whose size data.crop none does not allow. Reads headers."""
        for index in indices:
            try:
                size = upright_size(self.stored.open(int(index)))
            except NoImage as error:
                self._broken(int(index), error)
            else:
                self._refuse_other_sizes(size, int(index))

    def _readable(self, index: int, numbers: Crops | None) -> tuple[int, Images]:
        """(index, pixels) of the image at index; with data.broken_images skip, of the first from there that decodes."""
        for candidate in chain(range(index, len(self)), range(index)) if self._skip_broken else (index,):
            if self.skipped and self.stored.name(candidate) in self.skipped:
                continue
            try:
                image = in_8_bits(self.stored.open(candidate), "L" if self._channels == 1 else "RGB")
            except NoImage as error:
                self._broken(candidate, error)
            else:
                pixels = np.asarray(self._cropped(image, candidate, numbers))
                return candidate, pixels.reshape(self._size, self._size, self._channels)
        raise UserError(f"none of the {len(self)} images can be decoded; one is {self.stored.name(index)}")

    def _cropped(self, image: Image.Image, index: int, numbers: Crops | None) -> Image.Image:
        if self._crop == "none":
            self._refuse_other_sizes(image.size, index)
            return image
        if self._crop == "random" and numbers is not None:
            return random_crop(image, self._size, numbers.tolist())
        return self._centre_crop(image, self._size)

    def _refuse_other_sizes(self, size: tuple[int, int], index: int) -> None:
        if size != (self._size, self._size):
            raise UserError(
                f"{self.stored.name(index)} is {size[0]}×{size[1]}, but data.crop none takes images of "
                f"exactly {self._size}×{self._size}; set data.crop centre, or resize it"
            )

    def _broken(self, index: int, error: NoImage) -> None:
        """Record a broken image as skipped, or raise UserError."""
        name = self.stored.name(index)
        if not self._skip_broken:
            raise UserError(
                f"{name} cannot be decoded as an image: {error}; replace it, or set data.broken_images skip"
            ) from error
        self.skipped.add(name)
