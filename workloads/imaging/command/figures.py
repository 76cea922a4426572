"""The published evaluator's five figures, from files of images: https://github.com/openai/guided-diffusion.

Inception score of the samples; FID, sFID, precision and recall against a reference (appendix J of the paper), each by
the function that a trial's metric of that name has.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from assay.errors import AssayWarning, UserError
from imaging.data.image_faults import num_of_one_colour
from imaging.extractors import FEATURES, SPATIAL
from imaging.extractors.features import seen_by_inception
from imaging.extractors.inception import InceptionV3
from imaging.metrics import METRICS
from imaging.metrics.frechet import FewSamples, gaussian_of
from imaging.metrics.moments import Gaussian
from imaging.metrics.neighbours import DEFAULT_MAX_BYTES
from imaging.metrics.trial import Comparison, Features, flattened, measured
from imaging.reference.files import Reference, write_reference
from imaging.reference.npz_images import NpzImages

NEIGHBOUR = 3
"""k of precision and recall: a point's ball reaches to its third nearest neighbour."""
PUBLISHED_FIGURES = ("inception_score", "frechet", "spatial_frechet", "precision_recall")
"""The metrics that the published evaluator prints, in its order."""
NO_SPATIAL = "the reference has no mu_s and sigma_s, and no images"
NO_IMAGES = "the reference has no images (arr_0)"

Progress = Callable[[int], None]
"""Observation after each batch how many images it had."""


@dataclass(frozen=True, eq=False)
class ReferenceFeatures:
    """What samples are compared to."""

    statistics: Mapping[str, Gaussian]
    """By column: FEATURES, and SPATIAL where the file gives them or images."""
    images: Mapping[str, Features] | None
    """Columns of features of its images; None where it has none."""
    num_images: int | None
    """How many images the statistics are of; None where the file does not say."""

    def save(self, path: Path, images: NpzImages | None, extractor: str | None) -> None:
        """Write a reference file with these statistics, and with the images; `extractor` as `write_reference` has it.

        Raises UserError without spatial statistics.
        """
        if SPATIAL not in self.statistics:
            raise UserError(f"{path} is not written: the reference has no mu_s and sigma_s, and no images to make them")
        pool, spatial = self.statistics[FEATURES], self.statistics[SPATIAL]
        write_reference(path, pool, spatial, extractor=extractor, num_images=self.num_images, images=images)


@dataclass(frozen=True)
class Figures:
    """Figures by name, and why there are no others."""

    values: Mapping[str, float]
    missing: Mapping[str, str]


def image_features(
    network: InceptionV3, images: NpzImages, batch_size: int = 64, progress: Progress = lambda count: None
) -> dict[str, Features]:
    """Features of all N images of a file by column, batch by batch: FEATURES (N, 2048), SPATIAL (N, 2023) and LOGITS
    (N, 1008). Raises UserError where the file is damaged.

    Warns:
        AssayWarning: some images are of one colour.
    """
    columns: dict[str, Features] = {}
    start = one_colour = 0
    for batch in images.batches(batch_size):
        one_colour += num_of_one_colour(batch)
        for name, values in seen_by_inception(network, batch).items():
            column = columns.setdefault(name, np.empty((len(images), values.shape[1]), np.float32))
            column[start : start + len(batch)] = values.cpu()
        start += len(batch)
        progress(len(batch))
    if one_colour:
        _warn(f"{images.path}: {one_colour} of {len(images)} images are each of one colour; look at them")
    return columns


def reference_features(
    network: InceptionV3, reference: Reference, batch_size: int = 64, progress: Progress = lambda count: None
) -> ReferenceFeatures:
    """The file's statistics where it has them, as the published evaluator takes them, or else those of its images.

    Raises UserError when another extractor made the statistics.

    Warns:
        AssayWarning: the statistics are of no more images than features, or do not say what made them.
    """
    reference.refuse_another(network.features_name)
    reference.warn_if_unlabelled(network.features_name)
    given = {FEATURES: reference.pool, SPATIAL: reference.spatial}
    statistics = {column: side for column, side in given.items() if side is not None}
    num_images, images = reference.num_images, None
    if reference.images is not None:
        images = image_features(network, reference.images, batch_size, progress)
        num_images = num_images if reference.pool is not None else len(reference.images)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FewSamples)  # said once by whoever knows the file's name
            statistics |= {column: gaussian_of(images[column], "reference") for column in given.keys() - statistics}
    if num_images is not None:
        warn_if_few(str(reference.path), num_images)
    return ReferenceFeatures(statistics, images, num_images)


def figures(
    reference: ReferenceFeatures,
    samples: Mapping[str, Features],
    distance: str,
    device: str = "cpu",
    max_bytes: int = DEFAULT_MAX_BYTES,
) -> Figures:
    """Figures of samples, by columns of their features. `distance` is what the Fréchet distance is called; `max_bytes`
    bounds the working memory of precision and recall."""
    images = reference.images or {}
    lacking = {}
    if SPATIAL not in reference.statistics:
        lacking["spatial_frechet"] = NO_SPATIAL
    if not images:
        lacking["precision_recall"] = NO_IMAGES
    elif min(counts := (len(samples[FEATURES]), len(images[FEATURES]))) <= NEIGHBOUR:
        lacking["precision_recall"] = (
            f"k = {NEIGHBOUR} takes more images of either side; got {counts[0]} samples and {counts[1]} references"
        )
    comparison = Comparison(
        samples.__getitem__,
        images.__getitem__,
        reference.statistics,
        distance=distance,
        precision_recall_k=NEIGHBOUR,
        device=device,
        max_bytes=max_bytes,
        num_blocks=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewSamples)  # said once by whoever knows the file's name
        values = measured(comparison, [METRICS[name].body for name in PUBLISHED_FIGURES if name not in lacking])
    missing = {of.format(distance=distance): why for name, why in lacking.items() for of in METRICS[name].reports}
    return Figures(flattened(values)[0], missing)


def warn_if_few(name: str, num_images: int) -> None:
    """Warn of a Fréchet distance that is mostly bias."""
    if num_images <= 2048:
        _warn(
            f"{name}: {num_images} images for 2048 features make FID and sFID far too high, and fit to compare with "
            "none; draw more than 2048 (the paper draws 50,000), or use imaging.metrics.kid, which is unbiased"
        )


def _warn(message: str) -> None:
    warnings.warn(message, AssayWarning, stacklevel=3)
