"""Image files under a folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from assay.errors import UserError
from assay.look import once_a_look
from imaging.config import DataConfig
from imaging.contents import Files
from imaging.data.decode import opened
from imaging.data.paths import files_below, located
from imaging.data.types import Labels
from imaging.paths import shown, unreadable

SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp")
"""Suffixes of the files that are read. Animated GIFs give their first frame."""

LabelsBy = Literal["basename", "subfolder"]


class Folder:
    """`Stored` image files at any depth, sorted by path. The class is the basename before "_", as in the published
    code, or the first folder of the path, as in ImageNet; classes are numbered in sorted order."""

    scattered = True

    def __init__(self, data: DataConfig) -> None:
        self.files = folder_files(data)
        self._root, self._files = Path(self.files.root), self.files.names
        self.labels_from = f"data.labels {data.labels} of {self._root}"
        self.labels = classes_by_name(self._files, data.labels, self._root)

    def __len__(self) -> int:
        return len(self._files)

    def name(self, index: int) -> str:
        return shown(self.files.path(index))

    def file_of(self, index: int) -> int:
        return index

    def open(self, index: int) -> Image.Image:
        try:
            encoded = (self._root / self._files[index]).read_bytes()
        except OSError as error:
            # Not NoImage: an unreadable file is not a broken image, and the next run might be able to read it.
            raise unreadable(self._root / self._files[index], error) from error
        return opened(encoded)


def classes_by_name(files: Sequence[str], labels: LabelsBy, root: Path) -> Labels:
    """The class of each file, by its path relative to `root`, numbered in sorted order. Raises UserError."""
    if labels == "subfolder":
        for file in files:
            if os.sep not in file:
                raise UserError(
                    f"{root / file} is in no subfolder, which is its class with data.labels subfolder; move it, or set "
                    "data.labels basename"
                )
    names = [class_name(file, labels) for file in files]
    order = {name: index for index, name in enumerate(sorted(set(names)))}
    return np.array([order[name] for name in names], dtype=np.int64)


def class_name(file: str, labels: LabelsBy) -> str:
    """The class of a file, from its path relative to data.path."""
    if labels == "subfolder":
        return file.split(os.sep, 1)[0]
    return os.path.basename(file).split("_")[0]  # noqa: PTH119  a million of them


@once_a_look
def folder_files(data: DataConfig) -> Files:
    """The images in a folder; their paths determine their classes and order. Raises UserError if there are none."""
    root = located(data, "the folder with the images", folder=True)
    names = image_files(root)
    if not names:
        raise UserError(f"data.path {data.path!r} contains no images; looked for {', '.join(SUFFIXES)}")
    return Files(str(root), names, are_named=True)


def image_files(root: Path) -> list[str]:
    """Paths, relative to `root`, of the files with an image's suffix, sorted part by part. Reads no file."""
    paths = (path for path in files_below(root) if path.lower().endswith(SUFFIXES))
    return sorted(paths, key=lambda path: path.split(os.sep))  # noqa: PTH206  a million of them
