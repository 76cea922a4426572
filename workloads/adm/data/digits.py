"""scikit-learn's digits: 1,797 real images of 8×8, which need no download."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from adm.data.types import Crops, Examples, Images, Indices, Labels


class Digits:
    """A `Source`; grey values 0 to 16 are stretched to 0 to 255."""

    def __init__(self) -> None:
        from sklearn.datasets import load_digits

        bunch = load_digits()
        self.labels: Labels = bunch.target.astype(np.int64)
        self.skipped: set[str] = set()
        self._images: Images = np.round(bunch.images * (255 / 16)).astype(np.uint8)[..., None]

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, indices: Indices, crops: Crops | None = None) -> Examples:
        """As `Source.read`; no crop applies to them."""
        return Examples(self._images[indices], self.labels[indices])


@lru_cache(maxsize=1)
def digits() -> Digits:
    return Digits()
