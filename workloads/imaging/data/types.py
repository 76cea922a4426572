"""What a data set is to its readers: `Source`; and what its files are to `Source`: `Stored`."""

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
"""(N,) places in a data set, from 0."""
Crops = npt.NDArray[np.float64]
"""(N, 3) random numbers in [0, 1): which size, top and left edge the random crop of an image has."""


class Examples(NamedTuple):
    """Images uint8 (N, H, W, C) with their classes int64 (N,)."""

    images: Images
    labels: Labels


class Source(Protocol):
    """A data set, as images of one size."""

    labels: Labels
    """The class of every image."""
    skipped: set[str]
    """Names of the images met so far that could not be decoded, with data.broken_images skip."""

    def __len__(self) -> int: ...

    def read(self, indices: Indices, crops: Crops | None = None) -> Examples:
        """The images at indices (n,), in their order. May be called from several threads at once.

        `crops` (n, 3) matters with data.crop random; None takes the centre. A broken image, where those are skipped, is
        replaced by the next one that can be decoded, with its label. Raises UserError naming the image.
        """


class Stored(Protocol):
    """Images as they are stored, of any size. May be called from several threads at once."""

    labels_from: str
    """Where the labels are, or would be, for messages."""
    scattered: bool
    """Whether an image anywhere costs no more than the next one."""
    files: Files
    """What it is read from."""

    @property
    def labels(self) -> npt.NDArray[np.generic] | None:
        """As found, unchecked; None where there are none."""

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """What a message calls an image: its path, or its row."""

    def file_of(self, index: int) -> int:
        """Which of `files` holds an image."""

    def open(self, index: int) -> Image.Image:
        """An image, its bytes read; its pixels may still be encoded. Raises `decode.NoImage` where they make none."""
