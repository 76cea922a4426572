"""The published evaluator's five metrics, from files of images: https://github.com/openai/guided-diffusion.

Inception score of the samples; FID, sFID, precision and recall against a reference (appendix J of the paper). They are
computed by the same functions as the metrics of a trial.
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
"""k of precision and recall: a point's ball extends to its k-th nearest neighbour."""
PUBLISHED_FIGURES = ("inception_score", "frechet", "spatial_frechet", "precision_recall")
"""The metrics that the published evaluator prints, in its order."""
NO_SPATIAL = "the reference has no mu_s and sigma_s, and no images"
NO_IMAGES = "the reference has no images (arr_0)"

Progress = Callable[[int], None]
"""Called after each batch with its number of images."""


@dataclass(frozen=True, eq=False)
class ReferenceFeatures:
    """The reference's side of the metrics."""

    statistics: Mapping[str, Gaussian]
    """By column: FEATURES, and SPATIAL if the file has spatial statistics or images."""
    images: Mapping[str, Features] | None
    """Columns of features of its images; None if it has no images."""
    num_images: int | None
    """Number of images that the statistics were computed from; None if the file does not say."""

    def save(self, path: Path, images: NpzImages | None, extractor: str | None) -> None:
        """Write a reference file with these statistics and the images; `extractor` is as in `write_reference`.

        Raises UserError without spatial statistics.
        """
        if SPATIAL not in self.statistics:
            raise UserError(
                f"{path} is not written: the reference has no mu_s and sigma_s, and no images to compute them from"
            )
        pool, spatial = self.statistics[FEATURES], self.statistics[SPATIAL]
        write_reference(path, pool, spatial, extractor=extractor, num_images=self.num_images, images=images)


@dataclass(frozen=True)
class Figures:
    """Metrics by name, and the reasons for missing ones."""

    values: Mapping[str, float]
    missing: Mapping[str, str]


def image_features(
    network: InceptionV3, images: NpzImages, batch_size: int = 64, progress: Progress = lambda count: None
) -> dict[str, Features]:
    """Features of all N images of a file by column, batch by batch: FEATURES (N, 2048), SPATIAL (N, 2023) and LOGITS
    (N, 1008). Raises UserError where the file is damaged.

    Warns:
        AssayWarning: some images have a single colour.
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
        _warn(f"{images.path}: {one_colour} of {len(images)} images have a single colour; look at them")
    return columns


def reference_features(
    network: InceptionV3, reference: Reference, batch_size: int = 64, progress: Progress = lambda count: None
) -> ReferenceFeatures:
    """The file's statistics if it has them, as in the published evaluator, else those of its images.

    Raises UserError if the statistics are another extractor's.

    Warns:
        AssayWarning: the statistics are from no more images than features, or do not name their extractor.
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
            warnings.simplefilter("ignore", FewSamples)  # warn_if_few names the file
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
    """Metrics of samples, from columns of features. `distance` is the name of the Fréchet distance; `max_bytes` bounds
    the working memory of precision and recall."""
    images = reference.images or {}
    omitted = {}
    if SPATIAL not in reference.statistics:
        omitted["spatial_frechet"] = NO_SPATIAL
    if not images:
        omitted["precision_recall"] = NO_IMAGES
    elif min(counts := (len(samples[FEATURES]), len(images[FEATURES]))) <= NEIGHBOUR:
        omitted["precision_recall"] = (
            f"k = {NEIGHBOUR} needs more images on both sides; got {counts[0]} samples and {counts[1]} references"
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
        warnings.simplefilter("ignore", FewSamples)  # warn_if_few names the file
        values = measured(comparison, [METRICS[name].body for name in PUBLISHED_FIGURES if name not in omitted])
    missing = {of.format(distance=distance): why for name, why in omitted.items() for of in METRICS[name].reports}
    return Figures(flattened(values)[0], missing)


def warn_if_few(name: str, num_images: int) -> None:
    """Warn of a Fréchet distance that is mostly bias."""
    if num_images <= 2048:
        _warn(
            f"{name}: with {num_images} images for 2048 features, FID and sFID are far too high and not comparable; "
            "draw more than 2048 (the paper draws 50,000), or use imaging.kid, which is unbiased"
        )


def _warn(message: str) -> None:
    warnings.warn(message, AssayWarning, stacklevel=3)
