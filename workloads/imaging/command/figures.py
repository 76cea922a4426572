"""The published evaluator's five figures, from files of images: https://github.com/openai/guided-diffusion.

Inception score of the samples; FID, sFID, precision and recall against a reference (appendix J of the paper).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from assay.errors import AssayWarning, UserError
from imaging.data.image_faults import num_of_one_colour
from imaging.extractors.inception import InceptionV3
from imaging.metrics.frechet import FewSamples, frechet_distance, gaussian_of
from imaging.metrics.inception_score import inception_score
from imaging.metrics.moments import MERGED_ROWS, Gaussian, Moments
from imaging.metrics.neighbours import DEFAULT_MAX_BYTES
from imaging.metrics.precision_recall import precision_recall
from imaging.reference.files import Reference, write_reference
from imaging.reference.npz_images import NpzImages

NEIGHBOUR = 3
"""k of precision and recall: a point's ball reaches to its third nearest neighbour."""
NO_IMAGES = "the reference has no images (arr_0)"

Progress = Callable[[int], None]
"""Observation after each batch how many images it had."""


@dataclass(frozen=True, eq=False)
class ImageFeatures:
    """Features of N images. Where N is large, spatial features are not kept: their moments are all that is needed."""

    pool: npt.NDArray[np.float32]  # (N, 2048)
    logits: npt.NDArray[np.float32]  # (N, 1008)
    spatial: npt.NDArray[np.float32] | Moments  # (N, 2023) where N ≤ MERGED_ROWS


@dataclass(frozen=True, eq=False)
class ReferenceFeatures:
    """What samples are compared to. A side that the file does not give is None, and so are metrics that need it."""

    pool: Gaussian
    spatial: Gaussian | None
    pool_of_images: npt.NDArray[np.float32] | None  # (N, 2048)
    num_images: int | None
    """How many images `pool` and `spatial` are of; None where the file does not say."""

    def save(self, path: Path, images: NpzImages | None, extractor: str | None) -> None:
        """Write a reference file with these statistics, and with the images; `extractor` as `write_reference` has it.

        Raises UserError without spatial statistics.
        """
        if self.spatial is None:
            raise UserError(f"{path} is not written: the reference has no mu_s and sigma_s, and no images to make them")
        write_reference(path, self.pool, self.spatial, extractor=extractor, num_images=self.num_images, images=images)


@dataclass(frozen=True)
class Figures:
    """The five figures; None where the reference lacks what it takes."""

    inception_score: float
    fid: float
    sfid: float | None
    precision: float | None
    recall: float | None
    why_no_pairs: str = ""
    """Why there are no precision and recall."""


def image_features(
    network: InceptionV3, images: NpzImages, batch_size: int = 64, progress: Progress = lambda count: None
) -> ImageFeatures:
    """Features of all images of a file, batch by batch. Raises UserError where the file is damaged.

    Warns:
        AssayWarning: some images are of one colour.
    """
    pool = np.empty((len(images), 2048), np.float32)
    logits = np.empty((len(images), 1008), np.float32)
    spatial: list[npt.NDArray[np.float32]] = []
    blocks: list[Moments] = []
    start = one_colour = 0
    for batch in images.batches(batch_size):
        one_colour += num_of_one_colour(batch)
        features = network(torch.from_numpy(batch.copy()).permute(0, 3, 1, 2))
        stop = start + len(batch)
        pool[start:stop], logits[start:stop] = features.pool.cpu(), features.logits.cpu()
        spatial.append(features.spatial.cpu().numpy())
        if sum(map(len, spatial)) > MERGED_ROWS:
            blocks.append(Moments.of(np.concatenate(spatial)))
            spatial.clear()
        start = stop
        progress(len(batch))
    if one_colour:
        _warn(f"{images.path}: {one_colour} of {len(images)} images are each of one colour; look at them")
    if not blocks:
        return ImageFeatures(pool, logits, np.concatenate(spatial))
    rest = [Moments.of(np.concatenate(spatial))] if spatial else []
    return ImageFeatures(pool, logits, Moments.combine([*blocks, *rest]))


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
    if reference.images is None:
        assert reference.pool is not None
        found = ReferenceFeatures(reference.pool, reference.spatial, None, reference.num_images)
    else:
        images = image_features(network, reference.images, batch_size, progress)
        found = ReferenceFeatures(
            reference.pool or _gaussian(images.pool),
            reference.spatial or _gaussian(images.spatial),
            images.pool,
            reference.num_images if reference.pool else len(images.pool),
        )
    if found.num_images is not None:
        warn_if_few(str(reference.path), found.num_images)
    return found


def figures(
    reference: ReferenceFeatures, samples: ImageFeatures, device: str = "cpu", max_bytes: int = DEFAULT_MAX_BYTES
) -> Figures:
    """`max_bytes` bounds the working memory of precision and recall."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewSamples)  # said once by whoever knows the file's name
        fid = frechet_distance(reference.pool, samples.pool)
        sfid = frechet_distance(reference.spatial, samples.spatial) if reference.spatial else None
    score, images = inception_score(samples.logits), reference.pool_of_images
    if images is None:
        return Figures(score, fid, sfid, None, None, NO_IMAGES)
    counts = (len(samples.pool), len(images))
    if min(counts) <= NEIGHBOUR:
        why = f"k = {NEIGHBOUR} takes more images of either side; got {counts[0]} samples and {counts[1]} references"
        return Figures(score, fid, sfid, None, None, why)
    pairs = precision_recall(images, samples.pool, NEIGHBOUR, device=device, max_bytes=max_bytes)
    return Figures(score, fid, sfid, *pairs)


def _gaussian(side: npt.NDArray[np.float32] | Moments) -> Gaussian:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewSamples)  # said once by whoever knows the file's name
        return gaussian_of(side, "reference")


def warn_if_few(name: str, num_images: int) -> None:
    """Warn of a Fréchet distance that is mostly bias."""
    if num_images <= 2048:
        _warn(
            f"{name}: {num_images} images for 2048 features make FID and sFID far too high, and fit to compare with "
            "none; draw more than 2048 (the paper draws 50,000), or use imaging.metrics.kid, which is unbiased"
        )


def _warn(message: str) -> None:
    warnings.warn(message, AssayWarning, stacklevel=3)
