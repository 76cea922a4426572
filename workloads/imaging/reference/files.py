"""Reference statistics in the layout of the published evaluator's files.

`mu` (2048,) and `sigma` (2048, 2048) of the pool features, `mu_s` (2023,) and `sigma_s` of the spatial ones, images in
`arr_0`: https://github.com/openai/guided-diffusion/tree/main/evaluations. A file may have the statistics, the images,
or both. Files written here also say which `extractor` made them and from how many images (`num_images`); the published
evaluator passes over that.
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
"""Column of Inception's features → their number."""
COPIED_AT_ONCE = 256


@dataclass(frozen=True)
class Statistics:
    """The statistics in a reference file; what it does not hold is None."""

    path: Path
    pool: Gaussian | None
    spatial: Gaussian | None
    extractor: str | None
    """What made the statistics, where the file says it."""
    num_images: int | None
    """How many images the statistics are of, where the file says it."""

    def refuse_another(self, extractor: str) -> None:
        """Raise UserError where the file says that its statistics are not of the features called `extractor`."""
        if self.extractor not in (None, extractor):
            raise UserError(
                f"{self.path}: its statistics were made by another extractor, {self.extractor}, and the samples are to "
                f"be seen by {extractor}: make them again from the images"
            )

    def warn_if_unlabelled(self, extractor: str) -> None:
        """Warn where statistics that do not say what made them meet other features than the published files'; or the
        same, while the file is not like those, which have spatial statistics, too."""
        if self.label(extractor) is not None or (extractor == PUBLISHED and self.spatial is not None):
            return
        if extractor == PUBLISHED:
            caution = (
                "has mu and sigma alone, and does not say what made them. Other programs than the published evaluator "
                "have other Inceptions, and other ways to resize images for them, and their figures do not compare: "
                f"these do only if {extractor} made them. Make the statistics again from the images"
            )
        else:
            caution = (
                "does not say what made its statistics; if Inception's published weights in fp32, as of "
                f"the published files, then distances of samples seen by {extractor} are off: by some percent in "
                "bf16, and by any amount with other weights. Make the statistics again from the images"
            )
        warnings.warn(f"{self.path} {caution}", AssayWarning, stacklevel=3)

    def label(self, extractor: str) -> str | None:
        """What made the statistics of a file that is written from this one, where `extractor` makes those it lacks.

        None: statistics that do not say what made them are passed on as such.
        """
        has_statistics = self.pool is not None or self.spatial is not None
        return None if has_statistics and self.extractor is None else extractor


@dataclass(frozen=True)
class Reference(Statistics):
    """What a reference file of Inception's features holds; what it does not is None."""

    images: NpzImages | None


class ImageBatches(Protocol):
    """Images to be written beside their statistics."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, H, W, 3)."""

    def batches(self, size: int) -> Iterator[Images]:
        """All of them in order, uint8 (≤ size, H, W, 3)."""


def read_statistics(path: Path) -> Statistics:
    """The statistics of any extractor, as a stage has written them. Raises UserError for a damaged file."""
    with opened(path) as archive:
        return Statistics(path, *_statistics(path, archive))


def read_reference(path: Path) -> Reference:
    """Read the statistics, and look at the images without reading them all.

    Raises UserError for a file that is absent, damaged or holds neither statistics nor images; whose statistics are not
    those of 2048 and 2023 features; or whose images are none (as `NpzImages.open`).
    """
    with opened(path) as archive:
        names = names_in(archive)
        pool, spatial, made_by, num_images = _statistics(path, archive)
    if pool is None and IMAGES not in names:
        raise UserError(
            f"{path} is no reference: it needs mu and sigma, or images in {IMAGES}; it has {', '.join(names) or 'none'}"
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
    """(pool, spatial, extractor, number of images), each where it is there."""
    wanted = {*POOL, *SPATIAL, *ABOUT} & set(names_in(archive))
    arrays = {}
    for name in wanted:
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
        raise UserError(f"{path}: {names[1]} is no covariance: a variance on its diagonal is negative")
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
    """Write statistics, and images they are of if given. The file appears whole or not at all.

    `extractor` is what made the statistics, all of them; None: not known.
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
