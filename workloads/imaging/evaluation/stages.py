"""Bodies of the stages `statistics`, `evaluate` and `metrics`, which compute metrics and their jackknife replicates."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from assay.errors import AssayWarning
from assay.workload import JACKKNIFE, Result, StageContext
from imaging.data import Source, images_of_rows, open_planned, rows_of_sample
from imaging.data.image_faults import Images, fault_of
from imaging.evaluation.checks import imported_reference
from imaging.evaluation.grid import GRID, GRID_SIDE, save_grid
from imaging.evaluation.stored_features import column_of, features_of_rows, tensors
from imaging.extractors import FEATURES, SPATIAL
from imaging.extractors.features import as_rgb
from imaging.metrics.density_coverage import DEFAULT_K
from imaging.metrics.frechet import FewSamples, gaussian_of
from imaging.metrics.jackknife import Replicates
from imaging.metrics.moments import MERGED_ROWS, Gaussian, Moments
from imaging.metrics.trial import Comparison, flattened, measured
from imaging.reference.files import read_statistics, write_reference

REFERENCE = "reference.npz"
"""The output of `statistics`: a reference file in the published evaluator's layout."""


def statistics(ctx: StageContext) -> Mapping[str, float]:
    """Mean and covariance of the reference's features, from an imported file if it has them.

    Commits REFERENCE, with images of the reference if the features are Inception's: a file that `adm-evaluate`, and
    evaluate.reference of other sweeps, can read. Raises FeatureError for features that are all the same.
    """
    config, images = ctx.config, ctx.inputs.get("reference")
    imported = imported_reference(config) if config["imported"] is not None else None
    if imported is not None:
        imported.warn_if_unlabelled(config["features"])
    pool, spatial = (imported.pool, imported.spatial) if imported is not None else (None, None)
    num_images = imported.num_images if imported is not None else None
    if pool is None:
        assert images is not None
        pool, num_images = _gaussian(images, FEATURES)
    if spatial is None and images is not None and SPATIAL in ctx.execution["columns"]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FewSamples)  # already shown for the pool features, which are as many
            spatial, _ = _gaussian(images, SPATIAL)
    write_reference(
        ctx.output / REFERENCE,
        pool,
        spatial,
        extractor=config["features"] if imported is None else imported.label(config["features"]),
        num_images=num_images,
        images=_ExportedImages(ctx) if config["num_exported"] else None,
    )
    return {} if num_images is None else {"num_reference": num_images}


def _gaussian(images: Result, column: str) -> tuple[Gaussian, int]:
    moments = Moments.combine(map(Moments.of, _runs(images, column)))
    return gaussian_of(moments, "reference"), moments.n


def _runs(result: Result, column: str) -> Iterator[npt.NDArray[np.float32]]:
    """A column, MERGED_ROWS or a few more rows at a time: merging moments costs as much as D rows."""
    pending: list[npt.NDArray[np.float32]] = []
    for table in result.batches([column]):
        pending.append(tensors(table, column))
        if sum(map(len, pending)) >= MERGED_ROWS:
            yield np.concatenate(pending)
            pending.clear()
    if pending:
        yield np.concatenate(pending)


class _ExportedImages:
    """A sample of the reference's images, as RGB, to be written beside its statistics."""

    def __init__(self, ctx: StageContext) -> None:
        images = ctx.config["images"]
        self._source: Source = open_planned(
            images["data"], images["image_size"], images["channels"], threads=ctx.threads
        )
        num_images, order = len(self._source), images["order"]
        rows = rows_of_sample(order, num_images, ctx.config["num_exported"])
        self._indices = images_of_rows(order, num_images)[rows]
        self.shape = (len(self._indices), images["image_size"], images["image_size"], 3)

    def batches(self, size: int) -> Iterator[Images]:
        for start in range(0, len(self._indices), size):
            yield as_rgb(self._source.read(self._indices[start : start + size]).images)


def evaluate(ctx: StageContext) -> Mapping[str, float]:
    """Metrics of samples in the extractor's features (appendix J); commits a grid of samples, and JACKKNIFE.

    fid and sfid (fd_<extractor> for other networks), inception_score, precision, recall, kid with kid_se, and
    <distance>_infinity with evaluate.fid_infinity. <metric>_low and <metric>_high bound a 95% interval for the
    metric's expectation at this number of samples, from a jackknife over NUM_BLOCKS blocks, each of which costs one
    more distance. The interval accounts for the samples' noise alone; kid_se also for the reference's.

    num_reference is the number of images behind the reference's statistics, left out if its file does not say;
    num_reference_images is how many of them precision, recall and KID use.

    Samples that are all the same are measured with a warning: their covariance is 0, and so is their recall. Raises
    FeatureError for features that are NaN or infinite.
    """
    config, samples, images = ctx.config, ctx.inputs["samples"], ctx.inputs.get("reference")
    for condition, value in config["conditions"].items():
        ctx.note(condition, value)
    _save_grid(samples, ctx.output / GRID)
    reference = read_statistics(ctx.inputs["statistics"].file(REFERENCE))
    comparison = Comparison(
        partial(column_of, samples),
        partial(_paired, images, config["pairs"]),
        {
            column: side
            for column, side in ((FEATURES, reference.pool), (SPATIAL, reference.spatial))
            if side is not None
        },
        distance=config["distance"],
        precision_recall_k=config["precision_recall_k"],
        precision_recall_arithmetic=config.get("precision_recall_arithmetic", "float32"),
        density_coverage_k=config.get("density_coverage_k", DEFAULT_K),
        device=ctx.device,
        max_bytes=ctx.execution["max_bytes"],
    )
    metrics, replicates = flattened(measured(comparison, ctx.execution["metrics"]))
    _save_replicates(replicates, ctx.output / JACKKNIFE)
    counts: dict[str, float] = {"num_samples": len(comparison.samples)}
    if reference.num_images is not None:
        counts["num_reference"] = reference.num_images
    if images is not None:
        counts["num_reference_images"] = config["pairs"]["count"]
    return {**metrics, **counts}


def merge_extractors(ctx: StageContext) -> Mapping[str, float]:
    """Metrics of all extractors, renamed as the config says; commits the first one's grid, and JACKKNIFE."""
    for condition, value in ctx.config["conditions"].items():
        ctx.note(condition, value)
    first, *_ = evaluations = [(ctx.inputs[name], ctx.config["names"][name]) for name in ctx.config["extractors"]]
    shutil.copyfile(first[0].file(GRID), ctx.output / GRID)
    metrics: dict[str, float] = {}
    replicates: dict[str, Any] = {}
    for evaluated, names in evaluations:
        for name, value in evaluated.metrics.items():
            metrics.setdefault(_renamed(name, names), value)
        content = json.loads(evaluated.file(JACKKNIFE).read_text())
        replicates |= {_renamed(name, names): value for name, value in content.items()}
    (ctx.output / JACKKNIFE).write_text(json.dumps(replicates))
    return metrics


def _renamed(metric: str, names: Mapping[str, str]) -> str:
    """The trial's name for a metric such as "precision_low", from its name for "precision"."""
    prefixes = [name for name in names if metric == name or metric.startswith(f"{name}_")]
    longest = max(prefixes, key=len, default="")
    return f"{names[longest]}{metric.removeprefix(longest)}" if longest else metric


def _paired(images: Result | None, pairs: Mapping[str, Any], column: str) -> npt.NDArray[np.float32]:
    """A column of the reference's paired rows. Metrics that need them are only computed if there are images."""
    assert images is not None
    return features_of_rows(images, column, rows_of_sample(**pairs))


def _save_grid(samples: Result, path: Path) -> None:
    """Save a grid of the first samples; warn if they are faulty."""
    images = tensors(samples.rows(0, GRID_SIDE**2, ["image"]), "image")
    if fault := fault_of(images):
        warnings.warn(f"the first {len(images)} samples {fault}", AssayWarning, stacklevel=3)
    save_grid(images, path)


def _save_replicates(replicates: Mapping[str, Replicates], path: Path) -> None:
    content = {
        name: {"value": each.value, "replicates": each.left_out.tolist(), "sizes": each.sizes.astype(int).tolist()}
        for name, each in replicates.items()
    }
    path.write_text(json.dumps(content))
