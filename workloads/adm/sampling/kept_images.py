"""Images kept for other programs, as one file, written a shard at a time: 50,000 of 256×256 are never in one process.

npz    samples.npz   arr_0 uint8 (N, H, W, C), arr_1 int64 (N,) classes where there are any: what the reference
                     evaluator reads
png    samples.zip   000000.png, …, named by id; labels.csv where there are classes
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from assay.workload import Result, StageContext

NPZ, PNG = "samples.npz", "samples.zip"
ID_DIGITS = 6


class Part(NamedTuple):
    """Images of ids in a row, from `start` on."""

    start: int
    images: npt.NDArray[np.uint8]
    """(n, H, W, C)."""
    labels: npt.NDArray[np.int64]
    """(n,) classes; −1 is none."""


def keep(ctx: StageContext) -> Mapping[str, float]:
    """The images of a drawing stage as one file."""
    count = ctx.config["count"]
    parts = _parts(ctx.inputs["images"])
    if ctx.config["format"] == "npz":
        write_npz(ctx.output / NPZ, parts, count)
    else:
        write_pngs(ctx.output / PNG, parts, ctx.threads)
    return {"num_images": count}


def _parts(result: Result) -> Iterator[Part]:
    for table in result.batches(["label", "image"]):
        images = table.column("image").combine_chunks().to_numpy_ndarray()
        yield Part(table.column("id")[0].as_py(), images, table.column("label").to_numpy())


def write_npz(path: Path, parts: Iterator[Part], count: int) -> None:
    """What numpy.savez(path, images, labels) writes, without the images in memory. `count` is how many come."""
    all_labels: list[npt.NDArray[np.int64]] = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        with archive.open("arr_0.npy", "w", force_zip64=True) as member:
            for part in parts:
                if part.start == 0:
                    _write_header(member, (count, *part.images.shape[1:]), part.images.dtype)
                member.write(np.ascontiguousarray(part.images).data)
                all_labels.append(part.labels)
        labels = np.concatenate(all_labels)
        if labels.min() >= 0:
            with archive.open("arr_1.npy", "w") as member:
                np.lib.format.write_array(member, labels, allow_pickle=False)


def _write_header(file: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[np.uint8]) -> None:
    described = np.lib.format.dtype_to_descr(dtype)
    np.lib.format.write_array_header_1_0(file, {"descr": described, "fortran_order": False, "shape": shape})


def write_pngs(path: Path, parts: Iterator[Part], threads: int = 1) -> None:
    """A zip archive of PNG files; `threads` encode together. Grey (C = 1) or RGB (C = 3)."""
    lines = ["id,label"]
    # Stored: a PNG is compressed already.
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive, ThreadPoolExecutor(threads) as pool:
        for part in parts:
            for index, png in enumerate(pool.map(_png, part.images), part.start):
                archive.writestr(f"{index:0{ID_DIGITS}d}.png", png)
            lines += [f"{index},{label}" for index, label in enumerate(part.labels, part.start)]
        if not lines[-1].endswith(",-1"):
            archive.writestr("labels.csv", "\n".join(lines) + "\n")


def _png(image: npt.NDArray[np.uint8]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(out, "PNG")
    return out.getvalue()
