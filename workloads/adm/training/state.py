"""The state that a training resumes from: weights, averages, Adam's state, and counters (steps taken, loss scale).

It is written in parts, one per worker. Tensors are complete and in 32 bits, whatever the engine, ZeRO stage and number
of workers, so a training can resume with others. There is no random state and no position in the data: both are
functions of (seed, step).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

Counters = Mapping[str, float]
COUNTERS, SKIPPED = "counters.json", "skipped_images.json"


@dataclass(frozen=True)
class TrainingState:
    """A checkpoint as read: tensors by path ("model/…", "ema/0.9999/…", "exp_avg/…"), counters, and the names of images
    that could not be decoded."""

    tensors: Mapping[str, Tensor]
    counters: Counters
    skipped_images: Collection[str]

    def below(self, prefix: str) -> dict[str, Tensor]:
        """The tensors under a path, by the rest of their paths."""
        start = f"{prefix}/"
        return {name.removeprefix(start): t for name, t in self.tensors.items() if name.startswith(start)}


def write(
    folder: Path,
    tensors: Iterable[tuple[str, Tensor]],
    counters: Counters,
    skipped_images: Collection[str],
    rank: int,
    world_size: int,
) -> None:
    """Write this worker's part. Every worker iterates over all tensors, since ZeRO assembles each of them on all
    workers."""
    part = {name: t.detach().cpu().clone() for index, (name, t) in enumerate(tensors) if index % world_size == rank}
    save_file(part, folder / f"part-{rank:04d}.safetensors")
    if rank == 0:
        (folder / COUNTERS).write_text(json.dumps(dict(counters)))
        (folder / SKIPPED).write_text(json.dumps(sorted(skipped_images)))


def read(folder: Path) -> TrainingState:
    tensors: dict[str, Tensor] = {}
    for part in sorted(folder.glob("part-*.safetensors")):
        tensors |= load_file(part)
    counters, skipped_images = (json.loads((folder / name).read_text()) for name in (COUNTERS, SKIPPED))
    return TrainingState(tensors, counters, skipped_images)
