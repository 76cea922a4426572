"""Whether the checkpoint of a stage holds weights of its network: looked at where it will run, before anything is
computed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from adm import checkpoints
from adm.config import ModelConfig
from assay.errors import UserError

MOST_KEYS = 5
"""Keys that do not fit, as far as a message lists them."""


def _check(name: str, config: Mapping[str, Any]) -> None:
    """`name` is where a user's config names the checkpoint. Raises UserError."""
    try:
        checkpoints.load(Path(config["checkpoint"])).check(ModelConfig(**config["model"]))
    except UserError as error:
        first, *keys = str(error).splitlines()
        more = [f"  … and {len(keys) - MOST_KEYS} more"] if len(keys) > MOST_KEYS else []
        raise UserError("\n".join([f"{name}: {first}", *keys[:MOST_KEYS], *more])) from error


model = partial(_check, "train.checkpoint")
classifier = partial(_check, "classifier.train.checkpoint")
upsampler = partial(_check, "upsampler.train.checkpoint")
