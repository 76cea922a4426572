"""Which images make up which batch: a function of (seed, step), for any number of workers, also after a resume."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from imaging.data.types import Indices, Source


def batch_indices(seed: int, step: int, num_images: int, batch_size: int) -> Indices:
    """Indices (batch_size,) of the global batch of a step; steps count from 0.

    The stream is one permutation of all images after another; a batch may straddle two of them.
    """
    positions = np.arange(step * batch_size, (step + 1) * batch_size)
    epochs = positions // num_images
    chosen = np.empty(batch_size, dtype=np.int64)
    for epoch in np.unique(epochs):
        here = epochs == epoch
        chosen[here] = _permutation(seed, int(epoch), num_images)[positions[here] % num_images]
    return chosen


def split(source: Source, validation: float) -> tuple[Indices, Indices]:
    """(training, validation) indices: every class gives the same share, chosen the same way every time."""
    held = np.zeros(len(source), dtype=bool)
    for label in np.unique(source.labels):
        of_class = np.flatnonzero(source.labels == label)
        shuffled = np.random.default_rng([0, int(label)]).permutation(of_class)
        held[shuffled[: round(len(of_class) * validation)]] = True
    return np.flatnonzero(~held), np.flatnonzero(held)


def nothing_held_out(validation: float, num_images: int) -> str:
    """What to say where the validation indices of `split` are none."""
    return (
        f"data.validation {validation} of {num_images} images, rounded class by class, holds out none, so there is no "
        "accuracy to measure: hold out more, or set it to 0"
    )


def everything_held_out(validation: float, num_images: int) -> str:
    """What to say where the training indices of `split` are none."""
    return f"data.validation {validation} of {num_images} images, rounded class by class, holds out all: hold out fewer"


@lru_cache(maxsize=2)
def _permutation(seed: int, epoch: int, num_images: int) -> Indices:
    return np.random.default_rng([seed, epoch]).permutation(num_images)
