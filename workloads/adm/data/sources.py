"""The data set of a config."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from adm.config import NUM_DIGITS, DataConfig
from adm.data.labels import checked_labels
from adm.data.pictures import Pictures
from adm.data.types import Source, Stored
from assay.errors import AssayWarning, UserError


def data_config(values: Mapping[str, Any]) -> DataConfig:
    """The DataConfig of a stage, whose slice also says what was in the folder and how it is decoded, for its key."""
    return DataConfig(**{name: value for name, value in values.items() if name not in ("listing", "decoder")})


def open_source(
    data: DataConfig, image_size: int, channels: int, classes: int | None = None, threads: int = 1
) -> Source:
    """The data set of a config, as images of image_size×image_size pixels with 1 or 3 channels. Raises UserError.

    `classes` is how many the model knows; None is a model that is not told any. `threads` decode one `read` together.
    """
    if data.source == "digits":
        return _digits(image_size, channels, classes)
    if channels not in (1, 3):
        raise UserError(
            f"images have 1 channel (grey) or 3 (RGB), but the model takes {channels}: set model.in_channels"
        )
    stored = _stored(data)
    labels = checked_labels(stored.labels, len(stored), classes, stored.labels_from)
    return Pictures(stored, labels, image_size, channels, data.crop, data.broken_images == "skip", threads)


@lru_cache(maxsize=8)
def num_images(data: DataConfig) -> int | None:
    """How many images a data set has; None where nothing is to be seen from here. Counted once a process.

    Raises UserError for what is there, and is no data set.
    """
    if data.source == "digits":
        return NUM_DIGITS
    if data.path is None or not Path(data.path).expanduser().exists():
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AssayWarning)  # told by whoever reads the images
        return len(_stored(data))


def _digits(image_size: int, channels: int, classes: int | None) -> Source:
    from adm.data.digits import digits

    if image_size not in (8, 4, 2) or channels != 1:
        raise UserError(
            f"the digits are 8×8 with 1 channel, but the model takes {image_size}×{image_size} with {channels}; "
            "set model.image_size 8 (or 4, or 2) and model.in_channels 1, or use another data.source"
        )
    source = digits(image_size)
    checked_labels(source.labels, len(source), classes, "the digits")
    return source


def _stored(data: DataConfig) -> Stored:
    # Each imports what it reads with, so that a folder needs no Arrow.
    match data.source:
        case "folder":
            from adm.data.folder import Folder

            return Folder(data)
        case "npz":
            from adm.data.npz import Npz

            return Npz(data)
        case "parquet":
            from adm.data.parquet import Parquet

            return Parquet(data)
        case "lmdb":
            from adm.data.lsun import Lmdb

            return Lmdb(data)
        case _:
            raise AssertionError(data.source)
