"""The metrics of `adm-evaluate`, from files of images: the published evaluator's five,
https://github.com/openai/guided-diffusion, and others that are asked for, in one or several feature spaces.

Inception score of the samples; FID, sFID, precision and recall against a reference (appendix J of the paper). They are
computed by the same functions as the metrics of a trial.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from assay.errors import AssayWarning, UserError
from imaging.command import reference_cache
from imaging.command.spaces import Space
from imaging.data.image_faults import num_of_one_colour
from imaging.extractors import FEATURES, SPATIAL
from imaging.metrics import DENSITY_COVERAGE, INFINITY, METRICS
from imaging.metrics.density_coverage import DEFAULT_K
from imaging.metrics.frechet import FewSamples, gaussian_of
from imaging.metrics.jackknife import NUM_BLOCKS, Interval, Replicates
from imaging.metrics.moments import Gaussian
from imaging.metrics.neighbours import DEFAULT_MAX_BYTES
from imaging.metrics.trial import Comparison, Features, measured
from imaging.reference.files import ImageSet, Reference, write_reference

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
    """The reference's side of the metrics, in one space."""

    statistics: Mapping[str, Gaussian]
    """By column: FEATURES, and SPATIAL if the file has spatial statistics or images."""
    images: Features | None
    """FEATURES of its images; None if it has no images."""
    num_images: int | None
    """Number of images that the statistics were computed from; None if the file does not say."""

    def save(self, path: Path, images: ImageSet | None, extractor: str | None) -> None:
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
class Figure:
    """A metric of one file of samples, in one space."""

    metric: str
    """Its name in METRICS."""
    key: str
    """The name of the value, as a trial reports it."""
    value: float | None
    why: str
    """The reason if there is no value."""
    interval: Interval | None
    """95%; None: it has none, or was not asked for."""
    space: Space
    num_reference: int | None
    """Number of images that it was computed against; None: unknown, or none are needed."""

    @property
    def needs_reference(self) -> bool:
        return METRICS[self.metric].against != "nothing"


def image_features(
    spaces: Sequence[Space], images: ImageSet, batch_size: int = 64, progress: Progress = lambda count: None
) -> dict[str, dict[str, Features]]:
    """Columns of features of all N images by extractor, (N, D), in one pass over the images. Raises UserError where the
    file is damaged.

    Warns:
        AssayWarning: some images have a single colour.
    """
    found: dict[str, dict[str, Features]] = {space.extractor: {} for space in spaces}
    start = one_colour = 0
    for batch in images.batches(batch_size):
        one_colour += num_of_one_colour(batch)
        for space in spaces:
            for name, values in space.extract(batch).items():
                empty = np.empty((len(images), values.shape[1]), np.float32)
                column = found[space.extractor].setdefault(name, empty)
                column[start : start + len(batch)] = values.cpu()
        start += len(batch)
        progress(len(batch))
    if one_colour:
        _warn(f"{images.path}: {one_colour} of {len(images)} images have a single colour; look at them")
    return found


def reference_features(
    spaces: Sequence[Space],
    reference: Reference,
    batch_size: int = 64,
    progress: Progress = lambda count: None,
    contents: str | None = None,
) -> dict[str, ReferenceFeatures]:
    """By extractor: the file's statistics if it has them, which are Inception's, as in the published evaluator, else
    those of its images. `contents`, a digest of them, keeps the features for the next time.

    Raises UserError if the statistics are another extractor's, or there are neither for a space.

    Warns:
        AssayWarning: the statistics are from no more images than features, or do not name their extractor.
    """
    found: dict[str, ReferenceFeatures] = {}
    for space in spaces:
        if SPATIAL in space.columns:
            reference.refuse_another(space.features)
            reference.warn_if_unlabelled(space.features)
        elif reference.images is None:
            raise UserError(f"{reference.path} has only Inception's statistics: {space.extractor} needs images (arr_0)")
        if reference.images is not None and contents is not None:
            kept = reference_cache.cached(space, contents)
            if kept is not None:
                spatial = {} if kept[1] is None else {SPATIAL: kept[1]}
                found[space.extractor] = _of_images(space, reference, kept[0], spatial)
    rest = [space for space in spaces if space.extractor not in found]
    if reference.images is None:
        found = {space.extractor: _given(reference) for space in rest}
    elif rest:
        computed = image_features(rest, reference.images, batch_size, progress)
        for space in rest:
            columns = computed[space.extractor]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FewSamples)  # warn_if_few names the file
                spatial = {SPATIAL: gaussian_of(columns[SPATIAL], "reference")} if SPATIAL in columns else {}
            if contents is not None:
                reference_cache.keep(space, contents, columns[FEATURES], spatial)
            found[space.extractor] = _of_images(space, reference, columns[FEATURES], spatial)
    for space in spaces:
        if (num_images := found[space.extractor].num_images) is not None:
            warn_if_few(str(reference.path), num_images, space)
    return found


def _given(reference: Reference) -> ReferenceFeatures:
    sides = {FEATURES: reference.pool, SPATIAL: reference.spatial}
    return ReferenceFeatures(
        {column: side for column, side in sides.items() if side is not None}, None, reference.num_images
    )


def _of_images(
    space: Space, reference: Reference, features: Features, spatial: Mapping[str, Gaussian]
) -> ReferenceFeatures:
    """With the file's statistics in place of those of its images, if it has some of this space."""
    given = _given(reference) if SPATIAL in space.columns else ReferenceFeatures({}, None, None)
    statistics = {**spatial, **given.statistics}
    if FEATURES not in statistics:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FewSamples)
            statistics[FEATURES] = gaussian_of(features, "reference")
    num_images = given.num_images if FEATURES in given.statistics else len(features)
    return ReferenceFeatures(statistics, features, num_images)


def figures(
    space: Space,
    reference: ReferenceFeatures,
    samples: Mapping[str, Features],
    asked: Sequence[str] = (),
    max_bytes: int = DEFAULT_MAX_BYTES,
    with_intervals: bool = False,
) -> list[Figure]:
    """Metrics of samples, from columns of features: the published ones, those that are the space's own, and those that
    are `asked` for. `max_bytes` bounds the working memory of metrics that compare pairs. Intervals cost one more
    Fréchet distance per block of the jackknife."""
    names = metrics_in(space, asked)
    omitted = {name: why for name in names if (why := _missing(name, reference, len(samples[FEATURES])))}
    comparison = Comparison(
        samples.__getitem__,
        lambda column: reference.images if reference.images is not None else np.empty((0, 0), np.float32),
        reference.statistics,
        distance=space.distance,
        precision_recall_k=NEIGHBOUR,
        device=space.device,
        max_bytes=max_bytes,
        num_blocks=NUM_BLOCKS if with_intervals or INFINITY in names else 0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewSamples)  # warn_if_few names the file
        values = measured(comparison, [METRICS[name].body for name in names if name not in omitted])
    num_images = None if reference.images is None else len(reference.images)
    against = {"nothing": None, "statistics": reference.num_images, "images": num_images}
    found = []
    for name in names:
        metric = METRICS[name]
        for reported in metric.reports or (name,):
            key = reported.format(distance=space.distance)
            value, interval = values.get(key), None
            if isinstance(value, Replicates):
                interval = value.interval() if len(value.left_out) and with_intervals else None
                value = value.value
            found.append(Figure(name, key, value, omitted.get(name, ""), interval, space, against[metric.against]))
    return found


def metrics_in(space: Space, asked: Sequence[str] = ()) -> list[str]:
    """Names of the metrics that are measured in a space."""
    own = [name for name, metric in METRICS.items() if metric.extractor == space.extractor]
    return [
        name
        for name in dict.fromkeys([*PUBLISHED_FIGURES, *own, *asked])
        if METRICS[name].extractor in (None, space.extractor) and {*METRICS[name].columns} <= {*space.columns}
    ]


def _missing(name: str, reference: ReferenceFeatures, num_samples: int) -> str:
    """Why a metric cannot be computed; empty: it can."""
    metric, num_images = METRICS[name], 0 if reference.images is None else len(reference.images)
    if metric.against == "statistics" and not {*metric.columns} <= reference.statistics.keys():
        return NO_SPATIAL
    if name == INFINITY and num_samples < NUM_BLOCKS:
        return f"it needs at least {NUM_BLOCKS} samples; got {num_samples}"
    if metric.against != "images":
        return ""
    if reference.images is None:
        return NO_IMAGES
    if name == "precision_recall" and min(num_samples, num_images) <= NEIGHBOUR:
        counts = f"{num_samples} samples and {num_images} references"
        return f"k = {NEIGHBOUR} needs more images on both sides; got {counts}"
    if name == DENSITY_COVERAGE and num_images <= DEFAULT_K:
        return f"k = {DEFAULT_K} needs more images in the reference; got {num_images}"
    if min(num_samples, num_images) < NEIGHBOUR:
        return f"it needs at least {NEIGHBOUR} images on both sides; got {num_samples} and {num_images}"
    return ""


def warn_if_few(name: str, num_images: int, space: Space) -> None:
    """Warn of a Fréchet distance that is mostly bias."""
    if num_images <= space.num_features:
        distances = "FID and sFID are" if SPATIAL in space.columns else f"{space.distance} is"
        _warn(
            f"{name}: with {num_images} images for {space.num_features} features, {distances} far too high and not "
            f"comparable; draw more than {space.num_features} (the paper draws 50,000), or use imaging.kid, which is "
            "unbiased"
        )


def _warn(message: str) -> None:
    warnings.warn(message, AssayWarning, stacklevel=3)
