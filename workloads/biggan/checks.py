"""What would fail a trial only once it runs, looked at before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assay.errors import NotHere, UserError
from biggan.config import GeneratorConfig
from imaging import data
from imaging.paths import shown

WHERE = "https://s3.amazonaws.com/models.huggingface.co/biggan/"
"""Where the published files are: biggan-deep-128-pytorch_model.bin, and -256- and -512-."""


def training_data(config: Mapping[str, Any]) -> None:
    """There is data to train on. Raises UserError and warns like imaging.data.check."""
    c = GeneratorConfig(**config["generator"])
    size = {"image_size": c.image_size, "channels": c.out_channels, "classes": c.num_classes}
    data.check({"data": config["data"], **size})


def weights(config: Mapping[str, Any]) -> None:
    """The file of published weights is there, and fits the generator. Raises UserError."""
    path = Path(config["checkpoint"])
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise NotHere(
            f"generator.weights: {shown(path)} {what}; download it from {WHERE}, and name it by its whole path where "
            "stages run elsewhere"
        )
    if config["sha256"] is None:
        raise UserError(
            f"generator.weights: {shown(path)} is here, but not where the sweep was planned, so nothing tells whether "
            "it stays the same: run the sweep on a machine that reads it, as `assay submit` does"
        )
    from biggan import published  # here: a plan without the file needs no torch

    try:
        published.read(path, GeneratorConfig(**config["generator"]))
    except UserError as error:
        raise UserError(f"generator.weights: {error}") from error


def check_group(config: Mapping[str, Any], execution: Mapping[str, Any], workers: int, gpus: float) -> None:
    """Raise UserError where a batch is not the same for every one of so many workers: losses are means over shares."""
    if (batch_size := config["train"]["batch_size"]) % workers:
        raise UserError(
            f"train.batch_size is {batch_size}, allowed with {workers} workers: a multiple of {workers}, so that every "
            "worker has as many images"
        )
