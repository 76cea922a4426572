"""What can be known of a stage's data before anything is started."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from assay.errors import AssayWarning, UserError
from imaging.data.order import everything_held_out, nothing_held_out, split
from imaging.data.pictures import Pictures
from imaging.data.remarks import remarks
from imaging.data.sources import data_config, open_planned
from imaging.data.types import Indices

MOST_HEADERS = 1000
"""Images of which the size is looked at, for data.crop none."""
ANY_SIZE = 8
"""Pixels a side, where an image is decoded to see that it is one."""
RUNS = 10
"""Places where they are looked at side by side, in data of which each place costs much to reach."""


def check(config: Mapping[str, Any]) -> None:
    """Open the data of a stage and decode its first and its last image. Raises UserError where a stage would, and warns
    of what may be meant otherwise (`remarks`).

    `config` has "data", and "image_size", "channels" and "classes" where the stage says them. With
    data.crop none the sizes of up to 1,000 images are compared, spread evenly, or in ten runs where
    scattered reading is slow.
    """
    values = config["data"]
    if "image_size" not in config:  # a network that is another stage's says its size
        values = {**values, "crop": "centre"}
    data, (size, channels, classes) = data_config(values), _wanted(config)
    source = open_planned(values, size, channels, classes)
    for remark in remarks(data, source.labels, classes) if data.path is not None else ():
        warnings.warn(remark, AssayWarning, stacklevel=2)
    if data.crop == "none" and isinstance(source, Pictures):
        source.check_sizes(_sample(len(source), source.stored.scattered))
    source.read(np.array([0, len(source) - 1]))


def check_with_accuracy(config: Mapping[str, Any]) -> None:
    """As `check`, for a classifier whose accuracy is to be reported: some images are held out for it, and not all."""
    check(config)
    data = data_config(config["data"])
    source = open_planned(config["data"], *_wanted(config))
    training, held_out = split(source, data.validation)
    if not len(training):
        raise UserError(everything_held_out(data.validation, len(source)))
    if data.validation and not len(held_out):
        raise UserError(nothing_held_out(data.validation, len(source)))


def _sample(count: int, scattered: bool) -> Indices:
    """Indices of up to MOST_HEADERS images from the whole set: each by itself, or in runs of neighbours."""
    looked_at = min(MOST_HEADERS, count)
    runs = looked_at if scattered else min(RUNS, looked_at)
    together = looked_at // runs
    starts = np.linspace(0, count - together, runs).round().astype(np.int64)
    return (starts[:, None] + np.arange(together)).ravel()


def _wanted(config: Mapping[str, Any]) -> tuple[int, int, int | None]:
    """(pixels a side, channels, classes) that the stage asks for."""
    return config.get("image_size", ANY_SIZE), config.get("channels", 3), config.get("classes")
