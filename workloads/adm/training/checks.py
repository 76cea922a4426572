"""Check the data of a training before anything starts. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from adm.config import ModelConfig
from assay.errors import UserError
from imaging.data import check, check_with_accuracy, open_planned
from imaging.data_sources import DATA_SOURCES


def data(config: Mapping[str, Any]) -> None:
    """Check the data of a stage's `config`, which has "data" and "model". Raises and warns as imaging.data.check."""
    check(_data_and_sizes(config))
    _check_validation_data(config)


def data_with_accuracy(config: Mapping[str, Any]) -> None:
    """Check the data of a classifier whose accuracy is measured. Raises and warns as check_with_accuracy."""
    check_with_accuracy(_data_and_sizes(config))
    _check_validation_data(config)


def _check_validation_data(config: Mapping[str, Any]) -> None:
    """Check the images of data.validation_path, if there are any. Where names say the classes, both sets need all of
    them, since classes are numbered in sorted order. Raises UserError."""
    if "validation_data" not in config:
        return
    wanted, values = _data_and_sizes(config), config["validation_data"]
    if "labels" in DATA_SOURCES[values["source"]].options:
        sizes = wanted["image_size"], wanted["channels"], wanted["classes"]
        there, trained = (len(np.unique(open_planned(each, *sizes).labels)) for each in (values, config["data"]))
        if there != trained:
            raise UserError(
                f"data.validation_path {values['path']} has {there} classes, but data.path has {trained}: classes are "
                "numbered in the sorted order of their names, so both need the same ones"
            )
    check({**wanted, "data": values})


def _data_and_sizes(config: Mapping[str, Any]) -> dict[str, Any]:
    model = ModelConfig(**config["model"])
    size = {"image_size": model.image_size, "channels": model.in_channels, "classes": model.num_labels}
    return {"data": config["data"], **size}
