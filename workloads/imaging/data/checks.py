"""Checks of a stage's data before anything is started."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from assay.errors import AssayWarning, UserError
from imaging.data.decoded_images import DecodedImages
from imaging.data.order import everything_held_out, nothing_held_out, split
from imaging.data.remarks import remarks
from imaging.data.sources import data_config, open_planned
from imaging.data.types import Indices

MOST_HEADERS = 1000
"""Most images whose size is checked, for data.crop none."""
ANY_SIZE = 8
"""Pixels per side, if images are decoded only to check that they can be."""
RUNS = 10
"""Number of runs of neighbouring images that are checked if random order is slow to read."""


def check(config: Mapping[str, Any]) -> None:
    """Open the data of a stage and decode its first and last image. Raises UserError as the stage would, and warns of
    data that may not be what the user meant (`remarks`).

    `config` has "data", and "image_size", "channels" and "classes" if they are in the stage's config. With data.crop
    none the sizes of up to 1,000 images are checked, spread evenly, or in ten runs if random order is slow to read.
    """
    values = config["data"]
    if "image_size" not in config:  # its size is that of a network from another stage
        values = {**values, "crop": "centre"}
    data, (size, channels, classes) = data_config(values), _wanted(config)
    source = open_planned(values, size, channels, classes)
    for remark in remarks(data, source.labels, classes) if data.path is not None else ():
        warnings.warn(remark, AssayWarning, stacklevel=2)
    if data.crop == "none" and isinstance(source, DecodedImages):
        source.check_sizes(_sample(len(source), source.stored.scattered))
    source.read(np.array([0, len(source) - 1]))


def check_with_accuracy(config: Mapping[str, Any]) -> None:
    """As `check`, for a classifier: also check that some images are held out to measure its accuracy, and not all."""
    check(config)
    data = data_config(config["data"])
    source = open_planned(config["data"], *_wanted(config))
    training, held_out = split(source, data.validation)
    if not len(training):
        raise UserError(everything_held_out(data.validation, len(source)))
    if data.validation and not len(held_out):
        raise UserError(nothing_held_out(data.validation, len(source)))


def _sample(count: int, scattered: bool) -> Indices:
    """Indices of up to MOST_HEADERS images from the whole set: spread evenly, or in RUNS runs of neighbours."""
    num_checked = min(MOST_HEADERS, count)
    runs = num_checked if scattered else min(RUNS, num_checked)
    run_length = num_checked // runs
    starts = np.linspace(0, count - run_length, runs).round().astype(np.int64)
    return (starts[:, None] + np.arange(run_length)).ravel()


def _wanted(config: Mapping[str, Any]) -> tuple[int, int, int | None]:
    """(pixels per side, channels, classes) that the stage needs."""
    return config.get("image_size", ANY_SIZE), config.get("channels", 3), config.get("classes")
