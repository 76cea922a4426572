"""Which images of a data set others are compared with, and which of those stand for all of them.

Stored data is often sorted by class: the first 50,000 of ImageNet's images are of 39 of its 1,000 classes. So whoever
takes fewer than all takes the first of one permutation, which is the same for every reader: a fair sample at any size,
and the larger ones hold the smaller ones.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np

from imaging.data.types import Indices

Order = Literal["stored", "shuffled"]
"""How the rows of a reference follow each other. stored is for all of a data set, which is cheap to read in order."""


def images_of_rows(order: Order, num_images: int) -> Indices:
    """Row i of a reference is image number images_of_rows(…)[i] of a data set of `num_images`."""
    return np.arange(num_images) if order == "stored" else _permutation(num_images)


def rows_of_sample(order: Order, num_rows: int, count: int) -> Indices:
    """The `count` rows, ascending, that stand for all `num_rows`. The images are the same in either order."""
    return np.arange(min(count, num_rows)) if order == "shuffled" else np.sort(_permutation(num_rows)[:count])


@lru_cache(maxsize=2)
def _permutation(num_images: int) -> Indices:
    return np.random.default_rng(0).permutation(num_images)
