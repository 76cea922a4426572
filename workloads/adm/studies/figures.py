"""Pictures of samples besides their grid. The stage follows the evaluation and passes its metrics on."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from adm.registries import PICTURES
from assay.errors import UserError
from assay.workload import JACKKNIFE, Result, StageContext
from imaging.data import Source, images_of_rows, open_planned, rows_of_sample
from imaging.evaluation.grid import GRID, Pixels, save_panel
from imaging.evaluation.stored_features import features_of_rows, tensors
from imaging.extractors import FEATURES
from imaging.metrics.neighbours import DEFAULT_MAX_BYTES, nearest_neighbours

MEASURED = 200
"""Samples, and training images, whose nearest neighbours are measured at most."""

Features = np.ndarray[tuple[int, int], np.dtype[np.float32]]
Ids = np.ndarray[tuple[int, ...], np.dtype[np.int64]]
Distances = np.ndarray[tuple[int, int], np.dtype[np.float64]]


def figures(ctx: StageContext) -> Mapping[str, float]:
    """Draw the pictures in the config. Returns the metrics of the evaluation and of the pictures."""
    metrics = passed_on(ctx)
    for name in ctx.config["draw"]:
        picture = PICTURES[name]
        metrics |= picture.load()(ctx, ctx.output / picture.file)
    return metrics


def passed_on(ctx: StageContext) -> dict[str, float]:
    """The metrics of the evaluation that the stage follows, whose grid, JACKKNIFE and conditions become its own."""
    evaluated = ctx.inputs["evaluated"]
    for name in (GRID, JACKKNIFE):
        shutil.copyfile(evaluated.file(name), ctx.output / name)
    for condition, value in ctx.config["conditions"].items():
        ctx.note(condition, value)
    return dict(evaluated.metrics)


def neighbours(ctx: StageContext, path: Path) -> Mapping[str, float]:
    """Samples above their nearest training images in the evaluation's features. Figure 7.

    `nearest_distance_ratio` is the median distance of a sample to its nearest training image, divided by that of a
    training image to its nearest other one. It is about 0 for a model that memorised its training images.
    """
    count, k = ctx.config["num_samples"], ctx.config["num_neighbours"]
    samples, reference = ctx.inputs["samples"], ctx.inputs["reference"]
    order, source = ctx.config["order"], _source(ctx)
    queries = tensors(samples.rows(0, MEASURED, [FEATURES]), FEATURES)
    training = features_of_rows(reference, FEATURES, rows_of_sample(order, ctx.config["num_rows"], MEASURED))
    ids, distances = nearest_of_all(
        np.concatenate([queries, training]), reference, max(k, 2), ctx.device, ctx.execution["max_bytes"]
    )
    images = _first_images(samples, count)
    nearest = images_of_rows(order, len(source))[ids[: len(images), :k]]
    nearest_images = source.read(nearest.reshape(-1)).images.reshape(*nearest.shape, *images.shape[1:])
    rows = np.concatenate([images[None], nearest_images.swapaxes(0, 1)])
    save_panel(rows, path, tall_after=(0,))
    # A training image's nearest is itself: the second is another one.
    between = float(np.median(distances[len(queries) :, 1]))
    ratio = float(np.median(distances[: len(queries), 0])) / between if between > 0 else float("nan")
    return {"nearest_distance_ratio": ratio}


def diversity(ctx: StageContext, path: Path) -> Mapping[str, float]:
    """Samples on the left, the same number of random training images on the right. Figure 9."""
    side = ctx.config["num_samples"]
    samples = _first_images(ctx.inputs["samples"], side**2)
    side = int(len(samples) ** 0.5)
    source = _source(ctx)
    chosen = np.random.default_rng(ctx.config["seed"]).permutation(len(source))[: side**2]
    real = source.read(chosen.astype(np.int64)).images
    if len(real) < side**2:
        raise UserError(f"figures.num_samples {side} asks for {side**2} training images, but there are {len(real)}")
    left, right = (images[: side**2].reshape(side, side, *images.shape[1:]) for images in (samples, real))
    save_panel(np.concatenate([left, right], axis=1), path, wide_after=(side - 1,))
    return {}


def column(ctx: StageContext, path: Path) -> Mapping[str, float]:
    """The first samples, one below the other. Sample i has the same noise in every arm, so reports show the columns of
    all arms side by side. Figure 8."""
    images = _first_images(ctx.inputs["samples"], ctx.config["num_samples"])
    save_panel(images[:, None], path)
    return {}


def classes(ctx: StageContext, path: Path) -> Mapping[str, float]:
    """One row per class that sample.labels lists: sample i is of the class at place i mod their number. Figures 13 to
    22."""
    each, count = ctx.config["num_samples"], ctx.config["num_classes"]
    images = _first_images(ctx.inputs["samples"], each * count)
    save_panel(images.reshape(each, count, *images.shape[1:]).swapaxes(0, 1), path)
    return {}


def nearest_of_all(
    queries: Features, reference: Result, k: int, device: str, max_bytes: int = DEFAULT_MAX_BYTES
) -> tuple[Ids, Distances]:
    """Ids and distances of the k nearest rows of `reference`, (N, k) each, nearest first; fewer if it has fewer rows.

    Reads one shard at a time: a million training images need not fit in memory.
    """
    ids: Ids = np.empty((len(queries), 0), dtype=np.int64)
    distances: Distances = np.empty((len(queries), 0))
    for table in reference.batches(["id", FEATURES]):
        rows = tensors(table, FEATURES)
        hits = nearest_neighbours(queries, rows, min(k, len(rows)), device=device, max_bytes=max_bytes)
        ids = np.concatenate([ids, table.column("id").to_numpy()[hits.indices]], axis=1)
        distances = np.concatenate([distances, hits.distances], axis=1)
        order = np.argsort(distances, axis=1, kind="stable")[:, :k]
        ids = np.take_along_axis(ids, order, axis=1)
        distances = np.take_along_axis(distances, order, axis=1)
    return ids, distances


def _first_images(result: Result, count: int) -> Pixels:
    return tensors(result.rows(0, count, ["image"]), "image")


def _source(ctx: StageContext) -> Source:
    config = ctx.config
    return open_planned(config["data"], config["image_size"], config["channels"], threads=ctx.threads)
