"""What can be known of a stage's data before anything is started."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from adm.data.pictures import Pictures
from adm.data.sources import data_config, open_source

MOST_HEADERS = 1000
"""Images of which the size is looked at, for data.crop none."""


def check(config: Mapping[str, Any]) -> None:
    """Open the data of a stage and decode its first and its last image. Raises UserError where a stage would.

    `config` has "data", and either "model" (a ModelConfig as a mapping) or "image_size" and "channels". With data.crop
    none the sizes of up to 1,000 images are compared: spread evenly, or the first where scattered reading is slow.
    """
    data = data_config(config["data"])
    size, channels, classes = _wanted(config)
    source = open_source(data, size, channels, classes)
    if data.crop == "none" and isinstance(source, Pictures):
        looked_at = min(MOST_HEADERS, len(source))
        last = len(source) - 1 if source.stored.scattered else looked_at - 1
        source.check_sizes(np.linspace(0, last, looked_at).round().astype(np.int64))
    source.read(np.array([0, len(source) - 1]))


def _wanted(config: Mapping[str, Any]) -> tuple[int, int, int | None]:
    """(pixels a side, channels, classes) of the model, or of the stage."""
    if "model" not in config:
        return config["image_size"], config["channels"], None
    model = config["model"]
    classes = model["out_channels"] if model["kind"] == "encoder" else model["num_classes"]
    return model["image_size"], model["in_channels"], classes
