"""How many images a second are read from each kind of data, beside what the paper's models consume.

    python tests/bench/decode.py [--images 2000] [--threads 1 2] [--repeats 3]

The images are made up: smooth shapes under noise, whose JPEGs are about as large as photographs'. Every figure is the
median of the repeats, in shuffled order, of files that the machine has in memory: decoding is measured, not the disk.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from adm import presets
from adm.compute.v100 import theoretical_throughput
from imaging.config import DataConfig
from imaging.data import Images, open_source

PRESETS = ("imagenet64", "imagenet128", "imagenet256", "classifier64", "upsample_64_256")
BATCH = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    print(f"{'images/s':<42}" + "".join(f"{f'{threads} threads':>12}" for threads in options.threads))
    for name, (write, crop, size) in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            data = write(Path(folder), options.images).model_copy(update={"crop": crop})
            rates = [images_per_s(data, size, threads, options.repeats) for threads in options.threads]
        print(f"{name:<42}" + "".join(f"{rate:>12,.0f}" for rate in rates))
    print(f"\n{'a V100 in training, 100% utilization':<42}{'images/s':>12}")
    for preset in PRESETS:
        print(f"{preset:<42}{theoretical_throughput(presets.load(preset).model):>12,.1f}")


def images_per_s(data: DataConfig, size: int, threads: int, repeats: int) -> float:
    source = open_source(data, size, 3, threads=threads)
    source.read(np.arange(len(source)))  # into the page cache
    generator = np.random.default_rng(0)
    seconds = []
    for _ in range(repeats):
        order, crops = generator.permutation(len(source)), generator.random((len(source), 3))
        start = time.perf_counter()
        for first in range(0, len(source), BATCH):
            source.read(order[first : first + BATCH], crops[first : first + BATCH])
        seconds.append(time.perf_counter() - start)
    return len(source) / float(np.median(seconds))


def pictures(count: int, size: int) -> Images:
    """uint8 (count, size, size, 3)."""
    generator = np.random.default_rng(0)
    y, x = np.mgrid[:size, :size] / size
    waves = generator.uniform(1, 12, (count, 3, 2))
    noise = generator.normal(0, 12, (size, size, 3))
    images = np.empty((count, size, size, 3), dtype=np.uint8)
    for image, wave in zip(images, waves, strict=True):
        layers = [128 + 80 * np.sin(down * y * 6 + across * x * 6) for down, across in wave]
        image[:] = np.clip(np.stack(layers, axis=-1) + noise, 0, 255).astype(np.uint8)
    return images


def jpeg(pixels: Images) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "jpeg", quality=90)
    return buffer.getvalue()


def jpeg_folder(size: int) -> Callable[[Path, int], DataConfig]:
    def write(folder: Path, count: int) -> DataConfig:
        for index, image in enumerate(pictures(count, size)):
            (folder / f"a_{index:06}.jpg").write_bytes(jpeg(image))
        return DataConfig(source="folder", path=str(folder))

    return write


def parquet(folder: Path, count: int) -> DataConfig:
    table = pa.table({"image": [jpeg(image) for image in pictures(count, 32)], "label": np.arange(count) % 10})
    pq.write_table(table, folder / "train.parquet", row_group_size=5000)
    return DataConfig(source="parquet", path=str(folder / "train.parquet"))


def npz(folder: Path, count: int) -> DataConfig:
    np.savez(folder / "images.npz", pictures(count, 64))
    return DataConfig(source="npz", path=str(folder / "images.npz"))


CASES = {
    "folder, 64×64 JPEG, centre": (jpeg_folder(64), "centre", 64),
    "folder, 64×64 JPEG, random crop": (jpeg_folder(64), "random", 64),
    "folder, 256×256 JPEG to 64, centre": (jpeg_folder(256), "centre", 64),
    "folder, 256×256 JPEG to 64, random crop": (jpeg_folder(256), "random", 64),
    "folder, 256×256 JPEG, centre": (jpeg_folder(256), "centre", 256),
    "parquet, 32×32 JPEG as CIFAR-10, centre": (parquet, "centre", 32),
    "npz, 64×64, centre": (npz, "centre", 64),
}

if __name__ == "__main__":
    main()
