"""Checks before anything is computed, of what would otherwise only fail a trial while it runs."""

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
    """Check that there is data to train on. Raises UserError and warns as imaging.data.check does."""
    c = GeneratorConfig(**config["generator"])
    size = {"image_size": c.image_size, "channels": c.out_channels, "classes": c.num_classes}
    data.check({"data": config["data"], **size})


def weights(config: Mapping[str, Any]) -> None:
    """Check that the file of published weights exists and fits the generator. Raises UserError."""
    path = Path(config["checkpoint"])
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise NotHere(
            f"generator.weights: {shown(path)} {what}; download it from {WHERE}, and set an absolute path "
            "if stages run on other machines"
        )
    if config["sha256"] is None:
        raise UserError(
            f"generator.weights: {shown(path)} was not on the machine that planned the sweep, so a change of "
            "it would go unnoticed: plan the sweep on a machine that has the file, as `assay submit` does"
        )
    from biggan import published  # imported here so that planning without the file needs no torch

    try:
        published.read(path, GeneratorConfig(**config["generator"]))
    except UserError as error:
        raise UserError(f"generator.weights: {error}") from error


def check_group(config: Mapping[str, Any], execution: Mapping[str, Any], workers: int, gpus: float) -> None:
    """Raise UserError if the workers' shares of a batch differ in size: losses are means over equal shares."""
    if (batch_size := config["train"]["batch_size"]) % workers:
        raise UserError(
            f"train.batch_size is {batch_size}, allowed with {workers} workers: a multiple of {workers}, so that all "
            "workers have the same number of images"
        )
