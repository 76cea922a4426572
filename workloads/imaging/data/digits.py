"""scikit-learn's digits: 1,797 real images of 8×8, which need no download."""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import distribution

import numpy as np

from assay.errors import UserError
from imaging.data.types import Crops, Examples, Images, Indices, Labels

FILE = "sklearn/datasets/data/digits.csv.gz"
"""What sklearn.datasets.load_digits reads. Each process that trains or evaluates reads it, and importing scikit-learn
would take more than a CPU second."""


class Digits:
    """A `Source`; grey values 0 to 16 are scaled to 0 to 255. At 4×4 or 2×2, each pixel is the mean of an area."""

    def __init__(self, size: int = 8) -> None:
        table = np.loadtxt(str(distribution("scikit-learn").locate_file(FILE)), delimiter=",")
        self.labels: Labels = table[:, -1].astype(np.int64)
        self.skipped: set[str] = set()
        areas = table[:, :-1].reshape(-1, size, 8 // size, size, 8 // size).mean(axis=(2, 4))
        self._images: Images = np.round(areas * (255 / 16)).astype(np.uint8)[..., None]

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, indices: Indices, crops: Crops | None = None) -> Examples:
        """As `Source.read`; crops are ignored."""
        return Examples(self._images[indices], self.labels[indices])


def opened(image_size: int, channels: int) -> Digits:
    """The digits at a model's image size. Raises UserError for sizes and channels that they do not have."""
    if image_size not in (8, 4, 2) or channels != 1:
        raise UserError(
            f"the digits are 8×8 with 1 channel, but the model takes {image_size}×{image_size} with {channels}; "
            "set model.image_size 8 (or 4, or 2) and model.in_channels 1, or use another data.source"
        )
    return digits(image_size)


@lru_cache(maxsize=3)
def digits(size: int = 8) -> Digits:
    return Digits(size)
