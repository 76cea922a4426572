"""Which images of a data set samples are compared with, and which of those are used where all would be too many.

Stored data is often sorted by class: the first 50,000 images of ImageNet are from 39 of its 1,000 classes. So subsets
are the beginning of one fixed permutation: a random sample at any size, and larger ones contain the smaller ones.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np

from imaging.data.types import Indices

Order = Literal["stored", "shuffled"]
"""Order of a reference's rows. stored is for a whole data set, which is cheaper to read in order."""


def images_of_rows(order: Order, num_images: int) -> Indices:
    """Row i of a reference is image number images_of_rows(…)[i] of a data set of `num_images`."""
    return np.arange(num_images) if order == "stored" else _permutation(num_images)


def rows_of_sample(order: Order, num_rows: int, count: int) -> Indices:
    """`count` random rows of all `num_rows`, ascending. They are the same images in either order."""
    return np.arange(min(count, num_rows)) if order == "shuffled" else np.sort(_permutation(num_rows)[:count])


@lru_cache(maxsize=2)
def _permutation(num_images: int) -> Indices:
    return np.random.default_rng(0).permutation(num_images)
