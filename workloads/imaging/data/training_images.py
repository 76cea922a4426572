"""A worker's images of each training step, cropped and mirrored.

All randomness of a step is a function of (purpose, seed, step), so a resumed run continues as if it had not stopped,
and any number of workers sees the same global batches.
"""

from __future__ import annotations

import numpy as np

from imaging.config import DataConfig
from imaging.data.order import batch_indices
from imaging.data.types import Examples, Indices, Source

FLIPS, CROPS = 4, 5
"""What random numbers are used for: each purpose of a workload has a stream of its own, and numbers of its own."""


class TrainingImages:
    """Reads a worker's rows of every global batch."""

    def __init__(
        self, source: Source, indices: Indices, data: DataConfig, seed: int, batch_size: int, rank: int, world_size: int
    ) -> None:
        self.source = source
        self.seed, self.batch_size = seed, batch_size
        self._indices, self._data = indices, data
        self.mine = slice(batch_size * rank // world_size, batch_size * (rank + 1) // world_size)
        """The worker's rows."""

    def read(self, step: int) -> Examples:
        """The images of a step; steps count from 0. May be called from a thread other than the training's."""
        chosen = self._indices[batch_indices(self.seed, step, len(self._indices), self.batch_size)]
        crops = self._uniform(CROPS, step, 3)[self.mine] if self._data.crop == "random" else None
        examples = self.source.read(chosen[self.mine], crops)
        if self._data.flip:
            mirrored = self._uniform(FLIPS, step)[self.mine] < 0.5
            images = np.where(mirrored[:, None, None, None], examples.images[:, :, ::-1], examples.images)
            examples = Examples(images, examples.labels)
        return examples

    def _uniform(self, purpose: int, step: int, *shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        """Numbers in [0, 1) for every image of the global batch: (batch_size, *shape)."""
        return np.random.default_rng(seed_of(purpose, self.seed, step)).random((self.batch_size, *shape))


def seed_of(*parts: int) -> int:
    """One seed from a purpose and what it depends on."""
    # The purpose comes first: SeedSequence treats (a, b) and (a, b, 0) alike.
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1))
