"""A worker's share of each step's global batch: images, timesteps and noise.

All random numbers of a step are a function of (purpose, seed, step), so a resumed training continues as if it had not
stopped, and the global batches do not depend on the number of workers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from adm.diffusion.timesteps import TimestepSampler
from imaging.config import DataConfig
from imaging.data import Examples, Indices, Source, batch_indices, to_model_range

NOISE, TIMESTEPS, DROPOUT, FLIPS, CROPS = 1, 2, 3, 4, 5
"""Purposes of random numbers, each with a stream of its own."""


@dataclass(frozen=True)
class Batch:
    """n images, with their timesteps and noise."""

    x0: Tensor
    """(n, C, H, W) in [-1, 1]."""
    y: Tensor
    """(n,) classes."""
    t: Tensor
    """(n,) timesteps."""
    weights: Tensor
    """(n,) weights with which the expected loss is that of uniform timesteps."""
    noise: Tensor
    """Shaped like x0."""

    def split(self, count: int) -> Iterator[Batch]:
        """Split into `count` micro-batches whose sizes differ by at most one image."""
        parts = [torch.tensor_split(getattr(self, field.name), count) for field in fields(self)]
        return (Batch(*part) for part in zip(*parts, strict=True))


class Batches:
    """A worker's rows of every global batch."""

    def __init__(
        self, source: Source, indices: Indices, data: DataConfig, seed: int, batch_size: int, rank: int, world_size: int
    ) -> None:
        self.source = source
        self._indices, self._data, self._seed, self._batch_size = indices, data, seed, batch_size
        self._share = slice(batch_size * rank // world_size, batch_size * (rank + 1) // world_size)

    def read(self, step: int) -> Examples:
        """The images of a step, cropped and mirrored. May be called from a thread other than the training's."""
        indices = self._indices[batch_indices(self._seed, step, len(self._indices), self._batch_size)]
        crops = self._uniform(CROPS, step, 3)[self._share] if self._data.crop == "random" else None
        examples = self.source.read(indices[self._share], crops)
        if self._data.flip:
            mirrored = self._uniform(FLIPS, step)[self._share] < 0.5
            images = np.where(mirrored[:, None, None, None], examples.images[:, :, ::-1], examples.images)
            examples = Examples(images, examples.labels)
        return examples

    def draw(self, step: int, examples: Examples, timesteps: TimestepSampler, device: str) -> Batch:
        """The images of a step with their timesteps and noise, on the device."""
        x0 = to_model_range(examples.images, device)
        t, weights = timesteps.sample(
            self._batch_size, generator=torch.Generator().manual_seed(seed_of(TIMESTEPS, self._seed, step))
        )
        generator = torch.Generator(device).manual_seed(seed_of(NOISE, self._seed, step))
        noise = torch.randn(self._batch_size, *x0.shape[1:], generator=generator, device=device)
        return Batch(
            x0,
            torch.from_numpy(examples.labels).to(device),
            t[self._share].to(device),
            weights[self._share].to(device),
            noise[self._share],
        )

    def _uniform(self, purpose: int, step: int, *shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        """Uniform numbers in [0, 1) for every image of the global batch: (batch_size, *shape)."""
        return np.random.default_rng(seed_of(purpose, self._seed, step)).random((self._batch_size, *shape))


def seed_of(*parts: int) -> int:
    """One seed from a purpose and the numbers that it depends on."""
    # The purpose comes first, since SeedSequence treats (a, b) and (a, b, 0) alike.
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1))
