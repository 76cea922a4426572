"""Images that `adm-evaluate` measures: an npz file, a folder of image files, or a zip of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from assay.errors import UserError
from assay.workload import load_attribute
from imaging.config import DataConfig
from imaging.contents import contents_of, sha256_of
from imaging.data import Images, Source, open_source
from imaging.data.decode import upright_size
from imaging.data.types import Stored
from imaging.data_sources import DATA_SOURCES
from imaging.metrics.feature_arrays import row_blocks
from imaging.reference.files import ImageSet
from imaging.reference.npz_images import NpzImages

RGB = 3
THREADS = 8
MOST_LOOKED_AT = 1000
"""Images from all over a folder or zip whose sizes are compared before any is measured."""


@dataclass(frozen=True, eq=False)
class StoredImages:
    """Image files of a folder or zip, in the order of their names, as RGB."""

    path: Path
    source: Source
    side: int

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return (len(self.source), self.side, self.side, RGB)

    def __len__(self) -> int:
        return len(self.source)

    def batches(self, size: int) -> Iterator[Images]:
        for rows in row_blocks(len(self), size):
            yield self.source.read(np.arange(rows.start, rows.stop)).images


def opened_images(path: Path, side: int | None = None) -> ImageSet:
    """Open images and check the first ones. Those of folders and zips are cropped and resized to `side`, as for
    training; None: they have one size, and are square. Raises UserError for what is neither."""
    source = source_of(path)
    if source is None:
        return NpzImages.open(path)
    data = DataConfig(source=source, path=str(path), crop="none" if side is None else "centre")
    try:
        if side is None:
            side = _common_side(load_attribute(DATA_SOURCES[source].images)(data))
        images = StoredImages(path, open_source(data, side, RGB, threads=THREADS), side)
    except UserError as error:  # in terms of the command, which has no data.path
        raise type(error)(str(error).replace(f"data.path {str(path)!r}", str(path))) from error
    if len(images) < 2:
        raise UserError(f"{path}: metrics need at least 2 images; got {len(images)}")
    return images


def source_of(path: Path) -> str | None:
    """The data source that reads the images at a path; None: it is an npz file."""
    if os.path.isdir(path):  # noqa: PTH112  also for a path that is too long
        return "folder"
    return "zip" if path.suffix.lower() == ".zip" else None


def digest_of(path: Path) -> str:
    """A digest of the contents of a file, or of the images in a folder, whatever they are called."""
    if source_of(path) != "folder":
        return sha256_of(path)
    data = DataConfig(source="folder", path=str(path))
    files = DATA_SOURCES[data.source].files
    assert files is not None
    return contents_of(load_attribute(files)(data)).digest


def _common_side(stored: Stored) -> int:
    """Pixels per side of the images. Raises UserError if they differ, or are not square."""
    looked_at = np.unique(np.linspace(0, len(stored) - 1, MOST_LOOKED_AT).round().astype(int)).tolist()
    width, height = upright_size(stored.open(0))
    for index in looked_at:
        size = upright_size(stored.open(index))
        if size != (width, height) or size[0] != size[1]:
            raise UserError(
                f"{stored.name(index)} is {size[0]}×{size[1]}, and {stored.name(0)} {width}×{height}; allowed: square "
                "images of one size. --size N crops and resizes all to N×N"
            )
    return width
