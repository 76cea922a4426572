"""Check that a stage's checkpoint fits its network, on the machine that will run it, before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from adm import checkpoints
from adm.config import ModelConfig
from assay.errors import UserError
from imaging import weight_files

MOST_KEYS = 5
"""Keys that a message lists at most."""


def _check(name: str, config: Mapping[str, Any]) -> None:
    """Raise UserError for a checkpoint that does not fit; `name` is its config path."""
    try:
        checkpoint = checkpoints.load(Path(config["checkpoint"]))
        checkpoint.check(ModelConfig(**config["model"]))
        weight_files.refuse_other_values(checkpoint.path, checkpoint)
    except UserError as error:
        first, *keys = str(error).splitlines()
        more = [f"  … and {len(keys) - MOST_KEYS} more"] if len(keys) > MOST_KEYS else []
        raise UserError("\n".join([f"{name}: {first}", *keys[:MOST_KEYS], *more])) from error


model = partial(_check, "train.checkpoint")
classifier = partial(_check, "classifier.train.checkpoint")
upsampler = partial(_check, "upsampler.train.checkpoint")
guide = partial(_check, "sample.guide_checkpoint")
