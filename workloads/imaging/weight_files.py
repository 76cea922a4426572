"""Read files of weights: safetensors, and files of torch.save, without running code that they may contain."""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeGuard

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from assay.errors import AssayWarning, UserError
from assay.text import first_line

ZIP, PICKLE = b"PK", b"\x80"
"""How a file of torch.save starts: since PyTorch 1.6, and before."""
JSON_AT, JSON = 8, b"{"
"""A safetensors file has a JSON header after its length. That length may start as a pickle does."""
MOST_NAMED = 5
NAMED_IN_REFUSAL = re.compile(r"(?:GLOBAL|class|global|function) (?:\S+ )?([\w.]+\.[\w.]+)")
"""Matches the name of the object that PyTorch refuses to load, in its error."""


def read(path: Path, header_key: str | None = None) -> tuple[dict[str, Tensor], str | None]:
    """The tensors of a file by key, and the value of `header_key` in a safetensors header, if any.

    Unless the header has that key, weights may also be one level down, beside an optimizer's state, and their keys may
    share a prefix, as those of wrapped modules do. Raises UserError for a file that is absent, damaged, or contains
    anything but named tensors.

    Warns:
        AssayWarning: the weights were one level down, or a prefix was removed.
    """
    if not path.is_file():
        what = "is a folder, and a checkpoint is a file" if path.is_dir() else "there is no such checkpoint file"
        if (path / "config.json").is_file():
            what += ": convert it with assay import"
        raise UserError(f"{path}: {what}")
    try:
        with path.open("rb") as file:
            start = file.read(JSON_AT + 1)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}; make it readable for this user") from error
    if not start:
        raise UserError(f"{path} is damaged or no checkpoint: it is empty; copy or download it again")
    if start[JSON_AT:] == JSON:
        weights, header = _read_safetensors(path)
        carried = header.get(header_key) if header_key is not None else None
        return (weights, carried) if carried is not None else (_unwrapped(path, weights), None)
    if start.startswith(ZIP) and not zipfile.is_zipfile(path):
        raise UserError(f"{path} is damaged: its end is missing, as after a download that broke off")
    if start.startswith((ZIP, PICKLE)):
        return _unwrapped(path, _read_torch(path)), None
    raise UserError(f"{path} is damaged or no checkpoint: it is neither safetensors nor a file of torch.save")


def _read_torch(path: Path) -> object:
    """The content of a file of torch.save, without running code that it may contain."""
    is_zip = zipfile.is_zipfile(path)
    if is_zip:
        _refuse_other_zips(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about pickle protocols: what cannot be read is an error
            return torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except pickle.UnpicklingError as error:
        said = str(error)
        if not said.startswith("Weights only"):
            raise UserError(f"{path} is damaged or no checkpoint: {first_line(error)}") from error
        named = NAMED_IN_REFUSAL.search(said)
        is_what = f" ({named[1]})" if named else ", or is damaged"
        raise UserError(
            f"{path} is refused: it is a pickle that holds more than tensors{is_what}, and such a file can run code "
            "when it is read. Save the state dict alone: torch.save(model.state_dict(), path)"
        ) from error
    except Exception as error:  # whatever bytes that are no pickle make the unpickler do
        raise UserError(f"{path} is damaged or no checkpoint: {first_line(error)}") from error


def _refuse_other_zips(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if not any(Path(name).name == "data.pkl" for name in names):
        raise UserError(
            f"{path} is no checkpoint: it is a zip file of {', '.join(names[:3]) or 'nothing'}"
            f"{', …' if len(names) > 3 else ''}, and not one of torch.save"
        )
    if any(Path(name).name == "constants.pkl" for name in names):
        raise UserError(
            f"{path} is a TorchScript program, which is code: save the state dict of its module instead, "
            "torch.save(module.state_dict(), path)"
        )


def _unwrapped(path: Path, content: object) -> dict[str, Tensor]:
    """The state dict in a file's content."""
    if not isinstance(content, Mapping) or not content:
        raise UserError(f"{path} holds a {type(content).__name__}, not a state dict of named tensors")
    remarks = []
    if _is_state_dict(content):
        state = content
    else:
        inside = {str(name): value for name, value in content.items() if _is_state_dict(value)}
        if len(inside) > 1:
            raise UserError(
                f"{path} holds several sets of weights, {', '.join(inside)}: save the one that is meant alone, "
                f"torch.save(torch.load(path)[{next(iter(inside))!r}], other_path)"
            )
        if not inside:
            wrong = [str(key) for key, value in content.items() if not isinstance(value, Tensor)]
            raise UserError(f"{path} is no state dict: no tensor under {_some(wrong)}")
        ((name, state),) = inside.items()
        remarks.append(f"takes the weights under {name!r}")
    weights = dict(state)
    if prefix := _shared_prefix(weights):
        weights = {key.removeprefix(prefix): value for key, value in weights.items()}
        remarks.append(f"leaves out {prefix!r}, with which every key begins")
    if remarks:
        warnings.warn(f"{path}: {' and '.join(remarks)}", AssayWarning, stacklevel=4)
    return weights


def _is_state_dict(value: object) -> TypeGuard[Mapping[str, Tensor]]:
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(isinstance(key, str) and isinstance(tensor, Tensor) for key, tensor in value.items())
    )


def _shared_prefix(keys: Iterable[str]) -> str:
    """ "module." where DataParallel, "_orig_mod." where torch.compile wrapped the network, or whatever all keys share:
    a network of this package has more than one part.
    """
    parts = [key.split(".") for key in keys]
    shared = []
    while len(parts) > 1 and all(len(part) > 1 for part in parts) and len({part[0] for part in parts}) == 1:
        shared.append(parts[0][0])
        parts = [part[1:] for part in parts]
    return "".join(f"{name}." for name in shared)


def _some(names: Sequence[str]) -> str:
    return ", ".join([*names[:MOST_NAMED], *(["…"] if len(names) > MOST_NAMED else [])])


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], Mapping[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is damaged or no checkpoint: {first_line(error)}") from error


Shapes = Mapping[str, tuple[int, ...]]


def shapes_of(weights: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in weights.items()}


def shape_differences(actual: Shapes, expected: Shapes) -> list[str]:
    """One line for every key that is missing, unexpected, or of another shape."""
    return [
        *(f"{key}: missing, should be {expected[key]}" for key in expected if key not in actual),
        *(f"{key}: not in the model, {actual[key]} in the file" for key in actual if key not in expected),
        *(
            f"{key}: {actual[key]} in the file, {expected[key]} in the model"
            for key in expected
            if key in actual and actual[key] != expected[key]
        ),
    ]


def refuse_other_values(path: Path, weights: Mapping[str, Tensor]) -> None:
    """Refuse tensors that have the right shapes but are not usable as weights. Raises UserError."""
    for key, values in weights.items():
        if not values.is_floating_point() or values.is_meta or values.layout != torch.strided:
            what = "no values, only a shape" if values.is_meta else f"{values.dtype}, {values.layout}"
            raise UserError(f"{path}: {key} has {what}; allowed: dense tensors of floating-point numbers")
        if not values.isfinite().all():
            raise UserError(
                f"{path}: {key} has infinite or NaN values, as after a training that diverged; take an earlier "
                "checkpoint"
            )
