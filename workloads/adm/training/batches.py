"""A worker's share of each step's global batch: images, timesteps and noise.

All random numbers of a step are a function of (purpose, seed, step), so a resumed training continues as if it had not
stopped, and the global batches do not depend on the number of workers. Every worker draws the noise of all rows and
keeps its own: PyTorch's generators cannot skip rows, and drawing them all takes about a thousandth of a step at most.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from adm.diffusion.timesteps import TimestepSampler
from imaging.config import DataConfig
from imaging.data import Examples, Indices, Source, TrainingImages, seed_of, to_model_range

NOISE, TIMESTEPS, DROPOUT, LABELS = 1, 2, 3, 6
"""What random numbers are used for, besides what images are read with."""


@dataclass(frozen=True)
class Batch:
    """n images, with their timesteps and noise."""

    x0: Tensor
    """(n, C, H, W) in [-1, 1]."""
    y: Tensor
    """(n,) classes, or the null label of images that are shown without one."""
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


class Batches(TrainingImages):
    """Reads and draws a worker's rows of every global batch."""

    def __init__(
        self,
        source: Source,
        indices: Indices,
        data: DataConfig,
        seed: int,
        batch_size: int,
        rank: int,
        world_size: int,
        label_dropout: float = 0.0,
        null_label: int | None = None,
    ) -> None:
        """A share of `label_dropout` of the images has `null_label` instead of its own."""
        super().__init__(source, indices, data, seed, batch_size, rank, world_size)
        self._label_dropout, self._null_label = label_dropout, null_label

    def draw(self, step: int, examples: Examples, timesteps: TimestepSampler, device: str) -> Batch:
        """The images of a step with their timesteps and noise, on the device."""
        x0 = to_model_range(examples.images, device)
        t, weights = timesteps.sample(
            self.batch_size, generator=torch.Generator().manual_seed(seed_of(TIMESTEPS, self.seed, step))
        )
        generator = torch.Generator(device).manual_seed(seed_of(NOISE, self.seed, step))
        noise = torch.randn(self.batch_size, *x0.shape[1:], generator=generator, device=device)
        return Batch(
            x0,
            self._labels(step, torch.from_numpy(examples.labels)).to(device),
            t[self.mine].to(device),
            weights[self.mine].to(device),
            noise[self.mine].clone(),  # a view would hold all workers' noise for the whole step
        )

    def _labels(self, step: int, labels: Tensor) -> Tensor:
        """The worker's labels, some of them dropped (classifier-free guidance, arXiv:2207.12598, algorithm 1)."""
        if self._null_label is None or self._label_dropout == 0.0:
            return labels
        dropped = torch.from_numpy(self._uniform(LABELS, step)[self.mine] < self._label_dropout)
        return labels.masked_fill(dropped, self._null_label)
