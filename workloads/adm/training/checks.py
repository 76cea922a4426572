"""Whether there is data for a network to be trained or measured on: looked at before anything is started. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adm.config import ModelConfig
from imaging.data import check, check_with_accuracy


def data(config: Mapping[str, Any]) -> None:
    """`config` is that of a stage, with "data" and "model". Raises UserError, and warns, as imaging.data.check does."""
    check(_wanted(config))


def data_with_accuracy(config: Mapping[str, Any]) -> None:
    """The same for a classifier whose accuracy is to be reported."""
    check_with_accuracy(_wanted(config))


def _wanted(config: Mapping[str, Any]) -> dict[str, Any]:
    model = ModelConfig(**config["model"])
    size = {"image_size": model.image_size, "channels": model.in_channels, "classes": model.num_labels}
    return {"data": config["data"], **size}
