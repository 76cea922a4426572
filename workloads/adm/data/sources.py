"""Where images come from. Each source reads uint8 arrays (N, H, W, C) and labels (N,) by index."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from adm.config import DataConfig
from adm.data.resize import centre_crop
from assay.errors import UserError, did_you_mean

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]
Indices = npt.NDArray[np.int64]
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")


class Source(Protocol):
    """A data set. `labels` has the class of every image."""

    labels: Labels

    def __len__(self) -> int: ...

    def images(self, indices: Indices) -> Images:
        """uint8 (N, H, W, C)."""


def data_config(values: Mapping[str, Any]) -> DataConfig:
    """The DataConfig of a stage, whose slice also says what was in the folder: that is for its key."""
    return DataConfig(**{name: value for name, value in values.items() if name != "listing"})


def open_source(data: DataConfig, image_size: int, channels: int, classes: int | None = None) -> Source:
    """The data set of a config, as images of a size and number of channels. Raises UserError.

    `classes` is how many the model knows; None is a model that is not told any.
    """
    source: Source = _digits() if data.source == "digits" else Folder(data, image_size, channels)
    if data.source == "digits" and (image_size, channels) != (8, 1):
        raise UserError(
            f"the digits are 8×8 with 1 channel, but the model takes {image_size}×{image_size} with {channels}; "
            "set model.image_size 8 and model.in_channels 1, or use another data.source"
        )
    found = int(source.labels.max()) + 1
    if classes is not None and found > classes:
        raise UserError(f"the data has {found} classes, but the model knows {classes}: set its number to {found}")
    return source


def split(source: Source, validation: float) -> tuple[Indices, Indices]:
    """(training, validation) indices: every class gives the same share, chosen the same way every time."""
    held = np.zeros(len(source), dtype=bool)
    for label in np.unique(source.labels):
        of_class = np.flatnonzero(source.labels == label)
        shuffled = np.random.default_rng([0, int(label)]).permutation(of_class)
        held[shuffled[: round(len(of_class) * validation)]] = True
    return np.flatnonzero(~held), np.flatnonzero(held)


def to_model_range(images: Images, device: str = "cpu") -> Tensor:
    """uint8 (N, H, W, C) → float32 (N, C, H, W) in [-1, 1]."""
    return torch.tensor(images, device=device).permute(0, 3, 1, 2).float() / 127.5 - 1


class Digits:
    """scikit-learn's digits: 1,797 images of 8×8, grey values 0 to 16 stretched to 0 to 255."""

    def __init__(self) -> None:
        from sklearn.datasets import load_digits

        bunch = load_digits()
        self.labels: Labels = bunch.target.astype(np.int64)
        self._images: Images = np.round(bunch.images * (255 / 16)).astype(np.uint8)[..., None]

    def __len__(self) -> int:
        return len(self.labels)

    def images(self, indices: Indices) -> Images:
        return self._images[indices]


@lru_cache(maxsize=1)
def _digits() -> Digits:
    return Digits()


class Folder:
    """Image files under a folder; the class is the basename before "_", classes in sorted order."""

    def __init__(self, data: DataConfig, image_size: int, channels: int) -> None:
        if data.path is None:
            raise UserError("data.source folder needs data.path: the folder with the images")
        root = Path(data.path).expanduser()
        if not root.is_dir():
            near = [p.name for p in root.parent.iterdir()] if root.parent.is_dir() else []
            raise UserError(f"data.path {data.path!r} is not a folder{did_you_mean(root.name, near)}")
        self._files = sorted(p for p in root.rglob("*") if p.suffix.lower() in SUFFIXES)
        if not self._files:
            raise UserError(f"data.path {data.path!r} holds no images; looked for {', '.join(SUFFIXES)}")
        names = [file.name.split("_")[0] for file in self._files]
        order = {name: index for index, name in enumerate(sorted(set(names)))}
        self.labels: Labels = np.array([order[name] for name in names], dtype=np.int64)
        self._size, self._mode = image_size, "L" if channels == 1 else "RGB"

    def __len__(self) -> int:
        return len(self._files)

    def images(self, indices: Indices) -> Images:
        return np.stack([self._image(self._files[index]) for index in indices])

    def _image(self, file: Path) -> Images:
        try:
            with Image.open(file) as opened:
                image = opened.convert(self._mode)
        except (OSError, SyntaxError) as error:
            raise UserError(f"{file} cannot be read as an image: {error}") from error
        pixels = np.asarray(centre_crop(image, self._size))
        return pixels[..., None] if pixels.ndim == 2 else pixels
