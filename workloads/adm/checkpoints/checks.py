"""Check that a stage's checkpoint fits its network, on the machine that will run it, before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from adm import checkpoints
from adm.config import ModelConfig
from assay.errors import UserError

MOST_KEYS = 5
"""Keys that a message lists at most."""


def _check(name: str, config: Mapping[str, Any]) -> None:
    """Raise UserError for a checkpoint that does not fit; `name` is its config path."""
    try:
        checkpoint = checkpoints.load(Path(config["checkpoint"]))
        checkpoint.check(ModelConfig(**config["model"]))
        _refuse_other_values(checkpoint)
    except UserError as error:
        first, *keys = str(error).splitlines()
        more = [f"  … and {len(keys) - MOST_KEYS} more"] if len(keys) > MOST_KEYS else []
        raise UserError("\n".join([f"{name}: {first}", *keys[:MOST_KEYS], *more])) from error


def _refuse_other_values(checkpoint: checkpoints.Checkpoint) -> None:
    """Raise UserError for tensors of the right shapes that are not usable as weights."""
    for key, weights in checkpoint.items():
        if not weights.is_floating_point() or weights.is_meta or weights.layout != torch.strided:
            what = "no values, only a shape" if weights.is_meta else f"{weights.dtype}, {weights.layout}"
            raise UserError(f"{checkpoint.path}: {key} has {what}; allowed: dense tensors of floating-point numbers")
        if not weights.isfinite().all():
            raise UserError(
                f"{checkpoint.path}: {key} has infinite or NaN values, as after a training that "
                "diverged; take an earlier checkpoint"
            )


model = partial(_check, "train.checkpoint")
classifier = partial(_check, "classifier.train.checkpoint")
upsampler = partial(_check, "upsampler.train.checkpoint")
