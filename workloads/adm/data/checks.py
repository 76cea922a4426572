"""What can be known of a stage's data before anything is started."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from adm.data.pictures import Pictures
from adm.data.sources import data_config, open_source
from adm.data.types import Indices

MOST_HEADERS = 1000
"""Images of which the size is looked at, for data.crop none."""
RUNS = 10
"""Places where they are looked at side by side, in data of which each place costs much to reach."""


def check(config: Mapping[str, Any]) -> None:
    """Open the data of a stage and decode its first and its last image. Raises UserError where a stage would.

    `config` has "data", and either "model" (a ModelConfig as a mapping) or "image_size" and "channels". With data.crop
    none the sizes of up to 1,000 images are compared, spread evenly, or in ten runs where scattered reading is slow.
    """
    data = data_config(config["data"])
    size, channels, classes = _wanted(config)
    source = open_source(data, size, channels, classes)
    if data.crop == "none" and isinstance(source, Pictures):
        source.check_sizes(_sample(len(source), source.stored.scattered))
    source.read(np.array([0, len(source) - 1]))


def _sample(count: int, scattered: bool) -> Indices:
    """Of so many images up to MOST_HEADERS, over the whole set: each by itself, or in runs of neighbours."""
    looked_at = min(MOST_HEADERS, count)
    runs = looked_at if scattered else min(RUNS, looked_at)
    together = looked_at // runs
    starts = np.linspace(0, count - together, runs).round().astype(np.int64)
    return (starts[:, None] + np.arange(together)).ravel()


def _wanted(config: Mapping[str, Any]) -> tuple[int, int, int | None]:
    """(pixels a side, channels, classes) of the model, or of the stage."""
    if "model" not in config:
        return config["image_size"], config["channels"], None
    model = config["model"]
    classes = model["out_channels"] if model["kind"] == "encoder" else model["num_classes"]
    return model["image_size"], model["in_channels"], classes
