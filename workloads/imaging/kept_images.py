"""Samples in one file for other programs, written shard by shard, so that they need not fit in memory.

npz    samples.npz   for the reference evaluator: arr_0 uint8 (N, H, W, C); arr_1 int64 (N,) classes, if any
png    samples.zip   000000.png, …, named by id; labels.csv with the classes, if any
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from assay.workload import Result, StageContext
from imaging.npz import write_array, write_images

NPZ, PNG = "samples.npz", "samples.zip"
ID_DIGITS = 6


class ShardImages(NamedTuple):
    """The images of a shard, with consecutive ids from `start`."""

    start: int
    images: npt.NDArray[np.uint8]
    """(n, H, W, C)."""
    labels: npt.NDArray[np.int64]
    """(n,) classes; −1: no class."""


def keep(ctx: StageContext) -> Mapping[str, float]:
    """Write the images of the stage `draw` to one file."""
    count = ctx.config["count"]
    shards = _shards(ctx.inputs["images"])
    if ctx.config["format"] == "npz":
        write_npz(ctx.output / NPZ, shards, count)
    else:
        write_pngs(ctx.output / PNG, shards, ctx.threads)
    return {"num_images": count}


def _shards(result: Result) -> Iterator[ShardImages]:
    for table in result.batches(["label", "image"]):
        images = table.column("image").combine_chunks().to_numpy_ndarray()
        yield ShardImages(table.column("id")[0].as_py(), images, table.column("label").to_numpy())


def write_npz(path: Path, shards: Iterator[ShardImages], count: int) -> None:
    """Write `count` images as numpy.savez(path, images, labels) does, without holding them in memory."""
    all_labels: list[npt.NDArray[np.int64]] = []

    def batches() -> Iterator[npt.NDArray[np.uint8]]:
        for shard in shards:
            all_labels.append(shard.labels)
            yield shard.images

    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        write_images(archive, count, batches())
        labels = np.concatenate(all_labels)
        if labels.min() >= 0:
            write_array(archive, "arr_1", labels)


def write_pngs(path: Path, shards: Iterator[ShardImages], threads: int = 1) -> None:
    """Write a zip archive of PNG files, grey (C = 1) or RGB (C = 3), encoded in `threads` threads."""
    lines = ["id,label"]
    # Not compressed again: a PNG already is.
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive, ThreadPoolExecutor(threads) as pool:
        for shard in shards:
            for index, png in enumerate(pool.map(_png, shard.images), shard.start):
                archive.writestr(f"{index:0{ID_DIGITS}d}.png", png)
            lines += [f"{index},{label}" for index, label in enumerate(shard.labels, shard.start)]
        if not lines[-1].endswith(",-1"):
            archive.writestr("labels.csv", "\n".join(lines) + "\n")


def _png(image: npt.NDArray[np.uint8]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(out, "PNG")
    return out.getvalue()
