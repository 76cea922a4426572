"""Reference statistics in the layout of the published evaluator's files.

`mu` (2048,) and `sigma` (2048, 2048) of the pool features, `mu_s` (2023,) and `sigma_s` of the spatial ones, images in
`arr_0`: https://github.com/openai/guided-diffusion/tree/main/evaluations. A file may have the statistics, the images,
or both. Files written here also name the `extractor` and the number of images (`num_images`) of the statistics, which
the published evaluator ignores.
"""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from assay.errors import AssayWarning, UserError
from imaging.data.image_faults import Images
from imaging.extractors.inception_weights import PUBLISHED
from imaging.metrics.feature_arrays import FeatureError
from imaging.metrics.moments import Gaussian
from imaging.npz import IMAGES, UNREADABLE, names_in, opened, read_array, write_array, write_images
from imaging.paths import written_whole
from imaging.reference.npz_images import NpzImages

POOL, SPATIAL = ("mu", "sigma"), ("mu_s", "sigma_s")
ABOUT = ("extractor", "num_images")
NUM_FEATURES = {POOL: 2048, SPATIAL: 2023}
"""Keys of the statistics → number of Inception's features."""
COPIED_AT_ONCE = 256


class ImageBatches(Protocol):
    """Images to write beside their statistics."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, H, W, 3)."""

    def batches(self, size: int) -> Iterator[Images]:
        """All images in order, uint8 (≤ size, H, W, 3)."""


class ImageSet(ImageBatches, Protocol):
    """Images of one size in a file or folder, read batch by batch."""

    @property
    def path(self) -> Path: ...
    def __len__(self) -> int: ...


@dataclass(frozen=True)
class Statistics:
    """The statistics in a reference file; None for what it lacks."""

    path: Path
    pool: Gaussian | None
    spatial: Gaussian | None
    extractor: str | None
    """Name of the features, if the file says it."""
    num_images: int | None
    """Number of images behind the statistics, if the file says it."""

    def refuse_another(self, extractor: str) -> None:
        """Raise UserError if the file says that its statistics are of other features than `extractor`."""
        if self.extractor not in (None, extractor):
            raise UserError(
                f"{self.path}: its statistics were made by another extractor, {self.extractor}, but the samples are "
                f"measured with {extractor}: make the statistics again from the images"
            )

    def warn_if_unlabelled(self, extractor: str) -> None:
        """Warn of statistics that do not name their extractor, unless they look like a published file's (with spatial
        statistics) and `extractor` is the published one."""
        if self.label(extractor) is not None or (extractor == PUBLISHED and self.spatial is not None):
            return
        if extractor == PUBLISHED:
            caution = (
                "has mu and sigma alone, and does not say what made them. Other programs than the published evaluator "
                "use other versions of Inception and resize images differently: distances are only comparable if "
                f"{extractor} made these statistics. Make the statistics again from the images"
            )
        else:
            caution = (
                "does not say what made its statistics; if Inception's published weights in fp32 did, as "
                f"for the published files, then distances to samples in features of {extractor} are wrong: by some "
                "percent in bf16, and by any amount with other weights. Make the statistics again from the images"
            )
        warnings.warn(f"{self.path} {caution}", AssayWarning, stacklevel=3)

    def label(self, extractor: str) -> str | None:
        """The extractor to name in a file that copies these statistics, and adds those of `extractor` that they lack.

        None: unknown, as in this file.
        """
        has_statistics = self.pool is not None or self.spatial is not None
        return None if has_statistics and self.extractor is None else extractor


@dataclass(frozen=True)
class Reference(Statistics):
    """The contents of a reference file of Inception's features; None for what it lacks."""

    images: ImageSet | None


def read_statistics(path: Path) -> Statistics:
    """Read a stage's statistics, of any extractor. Raises UserError for a damaged file."""
    with opened(path) as archive:
        return Statistics(path, *_statistics(path, archive))


def read_reference(path: Path) -> Reference:
    """Read the statistics, and check the first images.

    Raises UserError for a file that is absent, damaged or has neither statistics nor images; whose statistics are not
    of 2048 and 2023 features; or whose images are faulty (as `NpzImages.open`).
    """
    with opened(path) as archive:
        names = names_in(archive)
        pool, spatial, made_by, num_images = _statistics(path, archive)
    if pool is None and IMAGES not in names:
        raise UserError(
            f"{path} is not a reference: it needs mu and sigma, or images in {IMAGES}; got {', '.join(names) or 'none'}"
        )
    for side, keys in ((pool, POOL), (spatial, SPATIAL)):
        if side is not None and len(side.mean) != (num_features := NUM_FEATURES[keys]):
            raise UserError(
                f"{path}: {keys[0]} and {keys[1]} must be ({num_features},) and ({num_features}, {num_features}), from "
                f"Inception; got {side.mean.shape} and {side.cov.shape}: this reference was made by another extractor"
            )
    return Reference(path, pool, spatial, made_by, num_images, NpzImages.open(path) if IMAGES in names else None)


def _statistics(
    path: Path, archive: zipfile.ZipFile
) -> tuple[Gaussian | None, Gaussian | None, str | None, int | None]:
    """(pool, spatial, extractor, number of images); None for what the file lacks."""
    arrays = {}
    for name in {*POOL, *SPATIAL, *ABOUT} & set(names_in(archive)):
        try:
            arrays[name] = read_array(archive, name)
        except UNREADABLE as error:
            raise UserError(f"{path}: {name} cannot be read: {error}") from error
    made_by = str(arrays["extractor"]) if "extractor" in arrays else None
    num_images = _count(path, arrays["num_images"]) if "num_images" in arrays else None
    return _gaussian(path, arrays, POOL), _gaussian(path, arrays, SPATIAL), made_by, num_images


def _count(path: Path, array: npt.NDArray[Any]) -> int:
    if array.dtype.kind not in "iu" or array.size != 1 or array.item() < 1:
        raise UserError(f"{path}: num_images must be one count; got {array.dtype} {array.tolist()!r:.60}")
    return int(array.item())


def _gaussian(path: Path, arrays: Mapping[str, npt.NDArray[Any]], names: tuple[str, str]) -> Gaussian | None:
    mean, cov = (arrays.get(name) for name in names)
    if mean is None and cov is None:
        return None
    if mean is None or cov is None:
        raise UserError(f"{path} has {names[0] if cov is None else names[1]} without {names[1 if cov is None else 0]}")
    for name, array in zip(names, (mean, cov), strict=True):
        if array.dtype.kind not in "fiu":
            raise UserError(f"{path}: {name} must be real numbers; got {array.dtype}")
    if cov.ndim == 2 and np.diagonal(cov).min(initial=0.0) < 0:
        raise UserError(f"{path}: {names[1]} is not a covariance: a variance on its diagonal is negative")
    try:
        return Gaussian(mean, cov)
    except FeatureError as error:
        raise UserError(f"{path}: {' and '.join(names)}: {error}") from error


def write_reference(
    path: Path,
    pool: Gaussian,
    spatial: Gaussian | None,
    *,
    extractor: str | None,
    num_images: int | None = None,
    images: ImageBatches | None = None,
) -> None:
    """Write statistics and, if given, their images. The file appears whole or not at all.

    `extractor` is the name of the features of all statistics; None: unknown.
    """
    arrays = {
        **dict(zip(POOL, (pool.mean, pool.cov), strict=True)),
        **({} if spatial is None else dict(zip(SPATIAL, (spatial.mean, spatial.cov), strict=True))),
        **({} if extractor is None else {"extractor": np.array(extractor)}),
        **({} if num_images is None else {"num_images": np.array(num_images)}),
    }
    with written_whole(path) as partial, zipfile.ZipFile(partial, "w") as archive:
        for name, array in arrays.items():
            write_array(archive, name, array)
        if images is not None:
            write_images(archive, images.shape[0], images.batches(COPIED_AT_ONCE))
