"""Weights of the published PyTorch port of BigGAN-deep, checked before they are used."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from torch import Tensor

from assay.errors import UserError
from biggan.config import GeneratorConfig
from biggan.generator import BigGAN, from_config
from imaging import weight_files
from imaging.blank import blank

MOST_LISTED = 5
"""Keys that a message lists at most."""


def load_published(model: BigGAN, state_dict: Mapping[str, Tensor]) -> BigGAN:
    """Load weights with the port's keys into a model, and return it. Raises UserError naming keys that do not fit."""
    check(state_dict, model.config, "the state dict")
    model.load_state_dict(state_dict)
    return model


def read(path: Path, config: GeneratorConfig) -> dict[str, Tensor]:
    """The weights in a file, for the generator of a config. No code in the file is run.

    Raises UserError for a file that is absent, damaged, or contains something else.
    """
    weights, _ = weight_files.read(path)
    check(weights, config, str(path))
    weight_files.refuse_other_values(path, weights)
    return weights


def check(weights: Mapping[str, Tensor], config: GeneratorConfig, what: str) -> None:
    """Raise UserError naming the keys if weights do not have the keys and shapes of a generator."""
    others = [str(key) for key, value in weights.items() if not isinstance(value, Tensor)]
    if others:
        raise UserError(f"{what} contains something other than tensors under {', '.join(others[:MOST_LISTED])}")
    lines = weight_files.shape_differences(weight_files.shapes_of(weights), expected_shapes(config))
    if not lines:
        return
    listed, more = lines[:MOST_LISTED], len(lines) - MOST_LISTED
    if more > 0:
        listed.append(f"… and {more} more")
    raise UserError("\n  ".join([f"{what} does not fit the generator in {len(lines)} keys:", *listed]))


@cache
def expected_shapes(config: GeneratorConfig) -> dict[str, tuple[int, ...]]:
    """Key → shape in the generator of a config. Allocates no weights."""
    with blank():
        return weight_files.shapes_of(from_config(config).state_dict())
