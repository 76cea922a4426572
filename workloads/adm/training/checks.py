"""Check the data of a training before anything starts. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adm.config import ModelConfig
from imaging.data import check, check_with_accuracy


def data(config: Mapping[str, Any]) -> None:
    """Check the data of a stage's `config`, which has "data" and "model". Raises and warns as imaging.data.check."""
    check(_data_and_sizes(config))


def data_with_accuracy(config: Mapping[str, Any]) -> None:
    """Check the data of a classifier whose accuracy is measured. Raises and warns as check_with_accuracy."""
    check_with_accuracy(_data_and_sizes(config))


def _data_and_sizes(config: Mapping[str, Any]) -> dict[str, Any]:
    model = ModelConfig(**config["model"])
    size = {"image_size": model.image_size, "channels": model.in_channels, "classes": model.num_labels}
    return {"data": config["data"], **size}
