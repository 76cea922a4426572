"""Check the evaluator on real data: compared with itself, and one half of it compared with the other.

Data has distance 0 from itself, and precision and recall 1. Two random halves differ by chance alone: their kernel
distance (KID), which is unbiased, is within a few standard errors of 0. Their Fréchet distance shows its bias at this
number of images.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from assay.errors import UserError
from imaging.command.figures import Progress
from imaging.data import to_model_range
from imaging.data.digits import digits
from imaging.data.image_faults import Images
from imaging.extractors import FEATURES, inception_weights
from imaging.extractors.features import seen_by_inception
from imaging.extractors.inception import InceptionV3
from imaging.metrics.feature_arrays import row_blocks
from imaging.metrics.frechet import FewSamples, frechet_distance
from imaging.metrics.kid import kid_with_standard_error
from imaging.metrics.precision_recall import precision_recall
from imaging.reference.files import ImageBatches

LARGEST_DISTANCE = 1e-6
"""Largest Fréchet distance of data from itself, which is due to rounding."""
MOST_ERRORS = 4
"""Largest KID of two halves, in standard errors."""
MOST_PIXELS = 4096
FEWEST_IMAGES = 20


@dataclass(frozen=True)
class SelfCheck:
    """The metrics of a set of images; those named halves_ compare one half with the other."""

    data: str
    num_images: int
    extractor: str
    num_features: int
    distance: float
    precision: float
    recall: float
    halves_distance: float
    halves_precision: float
    halves_recall: float
    halves_kid: float
    halves_kid_se: float

    @property
    def faults(self) -> list[str]:
        """Metrics that are not as expected."""
        faults = []
        if self.distance > LARGEST_DISTANCE:
            faults.append(f"the data has distance {self.distance:.3g} from itself, not 0")
        if (self.precision, self.recall) != (1.0, 1.0):
            faults.append(f"precision and recall of the data by itself are {self.precision} and {self.recall}, not 1")
        if abs(self.halves_kid) > MOST_ERRORS * self.halves_kid_se:
            faults.append(
                f"the KID of two random halves is {self.halves_kid:.3g}, which is more than {MOST_ERRORS} standard "
                f"errors ({self.halves_kid_se:.3g}) from 0"
            )
        return faults


class Digits:
    """scikit-learn's digits as `ImageBatches`: real images that need no download."""

    def __init__(self) -> None:
        self._source = digits()
        self.shape = (len(self._source), 8, 8, 1)

    def batches(self, size: int) -> Iterator[Images]:
        for rows in row_blocks(self.shape[0], size):
            yield self._source.read(np.arange(rows.start, rows.stop)).images


def self_check(
    name: str,
    images: ImageBatches,
    network: InceptionV3 | None,
    batch_size: int = 64,
    progress: Progress = lambda count: None,
) -> SelfCheck:
    """Metrics of a set of images compared with itself, in Inception's pool features, or in pixels without a network.

    Raises UserError for fewer than FEWEST_IMAGES images, and for images too large to compare by pixels.

    Warns:
        FewSamples: half of the images are no more than the features.
    """
    num_images, num_pixels = images.shape[0], int(np.prod(images.shape[1:]))
    if num_images < FEWEST_IMAGES:
        raise UserError(f"{name}: a self-check needs at least {FEWEST_IMAGES} images; got {num_images}")
    if network is None and num_pixels > MOST_PIXELS:
        raise UserError(
            f"{name}: without Inception's weights, images are compared by pixels, but these have {num_pixels:,} "
            f"values, allowed: at most {MOST_PIXELS:,}. For the weights, {inception_weights.how_to_get()}"
        )
    columns = []
    for batch in images.batches(batch_size):
        columns.append(
            to_model_range(batch).flatten(1).numpy()
            if network is None
            else seen_by_inception(network, batch)[FEATURES].cpu().numpy()
        )
        progress(len(batch))
    features = np.concatenate(columns)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewSamples)  # the distance from itself is 0 for any number of images
        distance = frechet_distance(features, features)
    order = np.random.default_rng(0).permutation(num_images)
    first, second = features[order[: num_images // 2]], features[order[num_images // 2 :]]
    kernel = kid_with_standard_error(first, second)
    return SelfCheck(
        name,
        num_images,
        "pixels" if network is None else network.features_name,
        features.shape[1],
        distance,
        *precision_recall(features, features),
        frechet_distance(first, second),
        *precision_recall(first, second),
        *kernel,
    )


def as_text(check: SelfCheck) -> str:
    """A table of the metrics, and whether they are as expected."""
    distance = "FID" if check.extractor == inception_weights.PUBLISHED else "FD"
    lines = [
        f"{check.data}: {check.num_images:,} images, by {check.extractor} ({check.num_features:,} features)",
        f"{'':<28}{distance:>12}{'precision':>11}{'recall':>9}{'KID ± standard error':>28}",
        f"{'  against itself':<28}{check.distance:>12.6g}{check.precision:>11.4f}{check.recall:>9.4f}",
        f"{'  one half against the other':<28}{check.halves_distance:>12.6g}{check.halves_precision:>11.4f}"
        f"{check.halves_recall:>9.4f}{f'{check.halves_kid:.3g} ± {check.halves_kid_se:.2g}':>28}",
    ]
    verdicts = check.faults or ["OK: distance 0, precision and recall 1; the halves differ by chance alone"]
    verdicts.append(
        f"the halves are judged by KID alone, which may be {MOST_ERRORS} standard errors from 0; their {distance} "
        "shows its bias at this number of images"
    )
    return "\n".join([*lines, *(f"  {line}" for line in verdicts)])


def as_json_text(checks: Sequence[SelfCheck], messages: Sequence[str]) -> str:
    results = [{**asdict(check), "faults": check.faults} for check in checks]
    return json.dumps({"self_checks": results, "warnings": list(messages)}, indent=2)
