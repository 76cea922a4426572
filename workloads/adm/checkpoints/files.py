"""Read and write both kinds of file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors.torch import save_file
from torch import Tensor

from adm.checkpoints.fit import expected_shapes
from adm.config import ModelConfig
from assay.errors import UserError
from imaging import weight_files
from imaging.paths import written_whole

CONFIG_KEY = "adm.model"
"""The field with the ModelConfig, as JSON, in a native file's header."""


def read(path: Path) -> tuple[dict[str, Tensor], ModelConfig | None]:
    """The tensors of a file by key, and the config in it. Raises UserError like `adm.checkpoints.load`, and warns like
    `weight_files.read`."""
    weights, carried = weight_files.read(path, CONFIG_KEY)
    if carried is None:
        return weights, None
    try:
        return weights, ModelConfig.model_validate_json(carried)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}".removeprefix(": ") for problem in error.errors()
        )
        raise UserError(f"{path} carries a model config that this version cannot read: {wrong}") from error


def write_native(path: Path, weights: Mapping[str, Tensor], config: ModelConfig) -> None:
    metadata = {"format": "pt", CONFIG_KEY: config.model_dump_json()}
    with written_whole(path) as partial:
        save_file(_plain(weights, config), partial, metadata)


def write_published(path: Path, weights: Mapping[str, Tensor], config: ModelConfig) -> None:
    with written_whole(path) as partial:
        torch.save(_plain(weights, config), partial)


def _plain(weights: Mapping[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """On the CPU, contiguous, not sharing memory, in the order of the network's keys."""
    return {key: weights[key].detach().cpu().contiguous().clone() for key in expected_shapes(config)}
