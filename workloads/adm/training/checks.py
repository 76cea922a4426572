"""Check, before anything starts, that there is data to train or measure a network. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adm.config import ModelConfig
from imaging.data import check, check_with_accuracy


def data(config: Mapping[str, Any]) -> None:
    """`config` is that of a stage, with "data" and "model". Raises UserError and warns like imaging.data.check."""
    check(_data_and_sizes(config))


def data_with_accuracy(config: Mapping[str, Any]) -> None:
    """The same for a classifier whose accuracy is measured."""
    check_with_accuracy(_data_and_sizes(config))


def _data_and_sizes(config: Mapping[str, Any]) -> dict[str, Any]:
    model = ModelConfig(**config["model"])
    size = {"image_size": model.image_size, "channels": model.in_channels, "classes": model.num_labels}
    return {"data": config["data"], **size}
