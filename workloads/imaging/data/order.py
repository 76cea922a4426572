"""The order of training images: a function of (seed, step), the same for any number of workers and after a resume."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from imaging.data.types import Indices, Source


def batch_indices(seed: int, step: int, num_images: int, batch_size: int) -> Indices:
    """Image indices (batch_size,) of the global batch of a step; steps count from 0.

    Each epoch is a permutation of all images; a batch may contain the end of one and the beginning of the next.
    """
    positions = np.arange(step * batch_size, (step + 1) * batch_size)
    epochs = positions // num_images
    indices = np.empty(batch_size, dtype=np.int64)
    for epoch in np.unique(epochs):
        in_epoch = epochs == epoch
        indices[in_epoch] = _permutation(seed, int(epoch), num_images)[positions[in_epoch] % num_images]
    return indices


def split(source: Source, validation: float) -> tuple[Indices, Indices]:
    """(training, validation) indices: the same share of every class, and always the same images."""
    held = np.zeros(len(source), dtype=bool)
    for label in np.unique(source.labels):
        of_class = np.flatnonzero(source.labels == label)
        shuffled = np.random.default_rng([0, int(label)]).permutation(of_class)
        held[shuffled[: round(len(of_class) * validation)]] = True
    return np.flatnonzero(~held), np.flatnonzero(held)


def nothing_held_out(validation: float, num_images: int) -> str:
    """The message for a `split` without validation images."""
    return (
        f"data.validation {validation} of {num_images} images, rounded class by class, holds out none, so there is no "
        "accuracy to measure: hold out more, or set it to 0"
    )


def everything_held_out(validation: float, num_images: int) -> str:
    """The message for a `split` without training images."""
    return f"data.validation {validation} of {num_images} images, rounded class by class, holds out all: hold out fewer"


@lru_cache(maxsize=2)
def _permutation(seed: int, epoch: int, num_images: int) -> Indices:
    return np.random.default_rng([seed, epoch]).permutation(num_images)
