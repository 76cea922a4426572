"""The evaluate stage: samples against the data, in numbers and as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from adm.evaluation import frechet_distance, precision_recall
from assay.workload import Result, StageContext

GRID = "samples.png"
GRID_SIDE = 10
SMALLEST_TILE = 32
"""Pixels: smaller images are enlarged by whole factors, so that a person sees them."""

Pixels = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]


def evaluate(ctx: StageContext) -> Mapping[str, float]:
    """Fréchet distance, precision and recall in the extractor's features (appendix J); commits a grid of samples."""
    reference = _features(ctx.inputs["reference"])
    samples = _features(ctx.inputs["samples"])
    distance = frechet_distance(reference, samples)
    precision, recall = precision_recall(reference, samples, k=ctx.config["precision_recall_k"])
    save_grid(_first_images(ctx.inputs["samples"], GRID_SIDE**2), ctx.output / GRID)
    return {
        f"fd_{ctx.config['extractor']}": distance,
        "precision": precision,
        "recall": recall,
        "num_samples": len(samples),
        "num_reference": len(reference),
    }


def _features(result: Result) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.concatenate([_column(table, "features") for table in result.batches(["features"])])


def _first_images(result: Result, count: int) -> Pixels:
    images: list[Pixels] = []
    for table in result.batches(["image"]):
        images.extend(_column(table, "image"))
        if len(images) >= count:
            break
    return np.stack(images[:count])


def save_grid(images: Pixels, path: Path, columns: int = GRID_SIDE) -> None:
    """Images uint8 (N, H, W, C) as one PNG, a row after another; with balanced labels a column is a class."""
    height, width = images.shape[1:3]
    factor = max(1, -(-SMALLEST_TILE // height))
    gap = max(1, height * factor // 16)
    rows = -(-len(images) // columns)
    tile_h, tile_w = height * factor + gap, width * factor + gap
    canvas = np.full((rows * tile_h + gap, columns * tile_w + gap, images.shape[3]), 255, dtype=np.uint8)
    for index, image in enumerate(images):
        top, left = gap + index // columns * tile_h, gap + index % columns * tile_w
        enlarged = image.repeat(factor, axis=0).repeat(factor, axis=1)
        canvas[top : top + height * factor, left : left + width * factor] = enlarged
    Image.fromarray(canvas[..., 0] if canvas.shape[2] == 1 else canvas).save(path)


def _column(table: object, name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return table.column(name).combine_chunks().to_numpy_ndarray()  # type: ignore[attr-defined]
