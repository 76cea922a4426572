"""The interfaces of a data set (`Source`) and of its files (`Stored`)."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from imaging.contents import Files

Images = npt.NDArray[np.uint8]
"""(N, H, W, C)."""
Labels = npt.NDArray[np.int64]
"""(N,) classes from 0."""
Indices = npt.NDArray[np.int64]
"""(N,) indices of images in a data set, from 0."""
Crops = npt.NDArray[np.float64]
"""(N, 3) random numbers in [0, 1), which choose the size, top and left edge of each image's random crop."""


class Examples(NamedTuple):
    """Images uint8 (N, H, W, C) with their classes int64 (N,)."""

    images: Images
    labels: Labels


class Source(Protocol):
    """A data set, as images of one size."""

    labels: Labels
    """The class of each image."""
    skipped: set[str]
    """Names of the images skipped so far because they could not be decoded (data.broken_images skip)."""

    def __len__(self) -> int: ...

    def read(self, indices: Indices, crops: Crops | None = None) -> Examples:
        """The images at indices (n,), in that order. Thread-safe.

        `crops` (n, 3) is for data.crop random; None: the centre. With data.broken_images skip, a broken image is
        replaced by the next one that can be decoded, with its label; else it raises UserError naming the image.
        """


class Stored(Protocol):
    """Images as they are stored, of any size. Thread-safe."""

    labels_from: str
    """Where the labels come from, or why there are none, for messages."""
    scattered: bool
    """Whether reading in random order is as fast as in stored order."""
    files: Files
    """The files that the images are read from."""

    @property
    def labels(self) -> npt.NDArray[np.generic] | None:
        """Unchecked labels; None: there are none."""

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """The name of an image in messages: its path, or its row."""

    def file_of(self, index: int) -> int:
        """Index in `files` of the file that an image is in."""

    def open(self, index: int) -> Image.Image:
        """An image, whose pixels may not be decoded yet. Raises `decode.NoImage` for bytes that are not an image."""
