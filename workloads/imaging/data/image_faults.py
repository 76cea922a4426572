"""Faults of a whole image set that its first images already show, found cheaply before any metric is computed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

NUM_LOOKED_AT = 64
"""Number of images, from the start of a set, that are checked."""

Images = npt.NDArray[np.uint8]


def fault_of(images: Images) -> str | None:
    """What is wrong with images uint8 (N, H, W, C), as the end of a sentence about them; None: nothing."""
    if num_of_one_colour(images) == len(images):
        return (
            f"are each of one colour, the first {images[0, 0, 0].tolist()}: possibly NaN converted to uint8, or "
            "an untrained sampler"
        )
    if len(images) > 1 and (images == images[0]).all():
        return "are all the same: the sampler or the data repeats one image"
    if images.max() <= 1:
        return "have no value above 1: images in [0, 1] were converted to uint8 before they were multiplied by 255"
    return None


def num_of_one_colour(images: Images) -> int:
    """How many of the images (N, H, W, C) have the same value in all pixels."""
    return int((images == images[:, :1, :1]).all(axis=(1, 2, 3)).sum())
