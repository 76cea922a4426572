"""Reading and writing the two kinds of file."""

from __future__ import annotations

import os
import pickle
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from adm.checkpoints.fit import expected_shapes
from adm.config import ModelConfig
from assay.errors import UserError

CONFIG_KEY = "adm.model"
"""Where a native file's header holds the ModelConfig, as JSON."""
ZIP, PICKLE = b"PK", b"\x80"
"""How a file of torch.save starts: since PyTorch 1.6, and before."""
JSON_AT, JSON = 8, b"{"
"""A safetensors file has a JSON header after its length. That length may start as a pickle does."""


def read(path: Path) -> tuple[dict[str, Tensor], ModelConfig | None]:
    """The tensors of a file by key, and the config it carries. Raises UserError as `adm.checkpoints.load` does."""
    if not path.is_file():
        raise UserError(f"{path}: there is no such checkpoint file")
    with path.open("rb") as file:
        start = file.read(JSON_AT + 1)
    if start[JSON_AT:] == JSON:
        return _read_native(path)
    if start.startswith(ZIP) and not zipfile.is_zipfile(path):
        raise UserError(f"{path} is damaged: its end is missing, as after a download that broke off")
    if start.startswith((ZIP, PICKLE)):
        return _read_torch(path), None
    raise UserError(f"{path} is damaged or no checkpoint: it is neither safetensors nor a file of torch.save")


def _read_torch(path: Path) -> dict[str, Tensor]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about pickle protocols: what cannot be read is an error
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if not str(error).startswith("Weights only"):
            raise UserError(f"{path} is damaged or no checkpoint: {error}") from error
        found = next((line.strip() for line in str(error).splitlines() if "nsupported" in line), "")
        raise UserError(
            f"{path} is refused: it is a pickle that holds more than tensors, and such a file can run code when it is "
            f"read. Save the state dict alone: torch.save(model.state_dict(), path). PyTorch says: {found}"
        ) from error
    except Exception as error:  # whatever bytes that are no pickle make the unpickler do
        raise UserError(f"{path} is damaged or no checkpoint: {error}") from error
    if not isinstance(content, dict) or not content:
        raise UserError(f"{path} holds a {type(content).__name__}, not a state dict of named tensors")
    if wrong := [str(key) for key, value in content.items() if not isinstance(value, Tensor)]:
        raise UserError(f"{path} is no state dict: no tensor under {', '.join(wrong)}")
    return content


def _read_native(path: Path) -> tuple[dict[str, Tensor], ModelConfig | None]:
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is damaged or no checkpoint: {error}") from error
    if CONFIG_KEY not in header:
        return weights, None
    try:
        return weights, ModelConfig.model_validate_json(header[CONFIG_KEY])
    except ValidationError as error:
        raise UserError(f"{path} carries a model config that this version cannot read: {error}") from error


def write_native(path: Path, weights: Mapping[str, Tensor], config: ModelConfig) -> None:
    metadata = {"format": "pt", CONFIG_KEY: config.model_dump_json()}
    _write_whole(path, lambda partial: save_file(_plain(weights, config), partial, metadata))


def write_published(path: Path, weights: Mapping[str, Tensor], config: ModelConfig) -> None:
    _write_whole(path, lambda partial: torch.save(_plain(weights, config), partial))


def _plain(weights: Mapping[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """On the CPU, contiguous, each with memory of its own, in the order of the network's keys."""
    return {key: weights[key].detach().cpu().contiguous().clone() for key in expected_shapes(config)}


def _write_whole(path: Path, write: Callable[[Path], None]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        write(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
