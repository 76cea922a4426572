"""The bodies of `statistics` and `evaluate`: features in, numbers, a picture and jackknife replicates out."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from adm.data import Source, data_config, open_source
from adm.evaluation.checks import imported_reference
from adm.evaluation.extractors import FEATURES, LOGITS, SPATIAL, as_rgb
from adm.evaluation.feature_arrays import CollapsedSamples
from adm.evaluation.frechet import FewSamples, gaussian_of
from adm.evaluation.grid import GRID, GRID_SIDE, save_grid
from adm.evaluation.image_faults import Images, fault_of
from adm.evaluation.inception_metrics import ROWS_PER_BLOCK
from adm.evaluation.jackknife import Replicates
from adm.evaluation.moments import Gaussian, Moments
from adm.evaluation.reference_npz import read_statistics, write_reference
from adm.evaluation.sample_metrics import SampleMetrics
from assay.errors import AssayWarning
from assay.workload import JACKKNIFE, Result, StageContext

REFERENCE = "reference.npz"
"""What `statistics` leaves: a reference file in the published evaluator's layout."""


def statistics(ctx: StageContext) -> Mapping[str, float]:
    """Mean and covariance of the reference's features: those of an imported file where it has them.

    Commits REFERENCE, with images of the reference where they are Inception's features: `adm-evaluate`, and
    evaluate.reference of another sweep, take that file. Raises FeatureError for features that are all the same.
    """
    config, images = ctx.config, ctx.inputs.get("reference")
    imported = imported_reference(config) if config["imported"] is not None else None
    pool, spatial = (imported.pool, imported.spatial) if imported is not None else (None, None)
    num_images = imported.num_images if imported is not None else None
    if pool is None:
        assert images is not None
        pool, num_images = _gaussian(images, FEATURES)
    if spatial is None and images is not None and config["extractor"] == "inception":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FewSamples)  # of the pool features, which are as few
            spatial, _ = _gaussian(images, SPATIAL)
    copied = _Copied(ctx) if config["num_exported"] else None
    write_reference(
        ctx.output / REFERENCE,
        pool,
        spatial,
        extractor=config["features"],
        num_images=num_images,
        images=copied,
    )
    return {} if num_images is None else {"num_reference": num_images}


def _gaussian(images: Result, column: str) -> tuple[Gaussian, int]:
    moments = Moments.combine(map(Moments.of, _runs(images, column)))
    return gaussian_of(moments, "reference"), moments.n


def _runs(result: Result, column: str) -> Iterator[npt.NDArray[np.float32]]:
    """A column in runs of ROWS_PER_BLOCK rows or a little more: merging moments costs as much as D rows do."""
    held: list[npt.NDArray[np.float32]] = []
    for table in result.batches([column]):
        held.append(_array(table, column))
        if sum(map(len, held)) >= ROWS_PER_BLOCK:
            yield np.concatenate(held)
            held.clear()
    if held:
        yield np.concatenate(held)


class _Copied:
    """The first images of the reference, as RGB, to be written beside its statistics."""

    def __init__(self, ctx: StageContext) -> None:
        images = ctx.config["images"]
        self._source: Source = open_source(
            data_config(images["data"]), images["image_size"], images["channels"], threads=ctx.threads
        )
        self.shape = (ctx.config["num_exported"], images["image_size"], images["image_size"], 3)

    def batches(self, size: int) -> Iterator[Images]:
        for start in range(0, self.shape[0], size):
            yield as_rgb(self._source.read(np.arange(start, min(start + size, self.shape[0]))).images)


def evaluate(ctx: StageContext) -> Mapping[str, float]:
    """The metrics of samples, by the extractor's features (appendix J); commits a grid of samples, and JACKKNIFE.

    fid and sfid (fd_<extractor> where the network is another), inception_score, precision, recall, kid with kid_se;
    <distance>_infinity where it is asked for. <metric>_low and <metric>_high are the ends of a 95% interval for the
    metric's expectation at this number of samples, by a jackknife of NUM_BLOCKS blocks: a distance costs as many more.

    Samples that are all alike are warned of and measured: their covariance is 0, and so is their recall. Raises
    FeatureError where features are no numbers.
    """
    config, samples, images = ctx.config, ctx.inputs["samples"], ctx.inputs.get("reference")
    for condition, value in config["conditions"].items():
        ctx.note(condition, value)
    _save_grid(samples, ctx.output / GRID)
    reference, features = read_statistics(ctx.inputs["statistics"].file(REFERENCE)), _column(samples, FEATURES)
    assert reference.pool is not None
    measured = SampleMetrics(len(features), _num_classes(samples))
    num_reference = reference.num_images
    measured.add_distance(config["distance"], reference.pool, features, infinity=config["fid_infinity"])
    with warnings.catch_warnings():
        for told in (FewSamples, CollapsedSamples):  # of the features above
            warnings.simplefilter("ignore", told)
        if images is not None:
            seen = _column(images, FEATURES)
            measured.add_pairs(seen, features, config["precision_recall_k"], ctx.device)
            num_reference = num_reference or len(seen)
            del seen
        if reference.spatial is not None:
            measured.add_distance(f"s{config['distance']}", reference.spatial, _column(samples, SPATIAL))
        if config["extractor"] == "inception":
            measured.add_inception_score(_column(samples, LOGITS))
    _save_replicates(measured.replicates, ctx.output / JACKKNIFE)
    counts = {"num_samples": len(features), **({} if num_reference is None else {"num_reference": num_reference})}
    return {**measured.metrics, **counts}


def _column(result: Result, name: str) -> npt.NDArray[np.float32]:
    """All rows of a column of tensors, (N, D)."""
    return np.concatenate([_array(table, name) for table in result.batches([name])])


def _array(table: pa.Table, name: str) -> npt.NDArray[Any]:
    return table.column(name).combine_chunks().to_numpy_ndarray()


def _num_classes(samples: Result) -> int:
    """How many classes are drawn in turn; 1 where there are none, which labels say by −1."""
    return max(1, *(pc.max(table.column("label")).as_py() + 1 for table in samples.batches(["label"])))


def _save_grid(samples: Result, path: Path) -> None:
    """Warns of images that are none."""
    images = _array(samples.rows(0, GRID_SIDE**2, ["image"]), "image")
    if fault := fault_of(images):
        warnings.warn(f"the first {len(images)} samples {fault}", AssayWarning, stacklevel=3)
    save_grid(images, path)


def _save_replicates(replicates: Mapping[str, Replicates], path: Path) -> None:
    content = {name: {"value": of.value, "replicates": of.left_out.tolist()} for name, of in replicates.items()}
    path.write_text(json.dumps(content))
