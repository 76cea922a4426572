"""The formats that `assay export` writes a training's weights in, and that `assay import` reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file

from adm import checkpoints
from adm.checkpoints import unet2d
from assay.errors import UserError
from assay.workload import JSON
from imaging import weight_files
from imaging.paths import written_whole

CONFIG_JSON = "config.json"
UNET2D_WEIGHTS = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin")
"""Files that a UNet2DModel's weights are in; the first is written."""


def write_native(weights: Path, output: Path) -> None:
    """One safetensors file with the model's config in its header, as trainings store it."""
    checkpoint = checkpoints.load(weights)
    checkpoints.save(output, checkpoint, checkpoint.config)


def write_published(weights: Path, output: Path) -> None:
    """One .pt file, as published."""
    checkpoint = checkpoints.load(weights)
    checkpoints.export_published(output, checkpoint, checkpoint.config)


def write_unet2d(weights: Path, output: Path) -> None:
    """A folder for UNet2DModel.from_pretrained. Raises UserError if the network is no UNet2DModel."""
    checkpoint = checkpoints.load(weights)
    options = unet2d.config_json(checkpoint.config)
    theirs = unet2d.to_unet2d(checkpoint, checkpoint.config)
    with written_whole(output / UNET2D_WEIGHTS[0]) as partial:
        save_file(theirs, partial, {"format": "pt"})
    with written_whole(output / CONFIG_JSON) as partial:
        partial.write_text(json.dumps(options, indent=2) + "\n", encoding="utf-8")


def read_published(source: Path, output: Path) -> Mapping[str, JSON]:
    """Write a published file as a native one. Returns its model's options. Raises UserError if it fits no preset."""
    checkpoint = checkpoints.load(source)
    checkpoints.save(output, checkpoint, checkpoint.config)
    return {"model": checkpoint.config.model_dump(mode="json", exclude_defaults=True)}


def read_unet2d(source: Path, output: Path) -> Mapping[str, JSON]:
    """Write a saved UNet2DModel as a native file. Returns its model's options. Raises UserError if it is none of ours,
    or if its files are absent or damaged."""
    config_file = source / CONFIG_JSON
    if not config_file.is_file():
        raise UserError(
            f"{source} has no {CONFIG_JSON}; allowed: the folder of a network, as save_pretrained writes it (of a "
            "pipeline, its folder unet)"
        )
    found = [source / name for name in UNET2D_WEIGHTS if (source / name).is_file()]
    if not found:
        raise UserError(f"{source} has none of {', '.join(UNET2D_WEIGHTS)}; weights in several files are not read")
    try:
        config = unet2d.model_config(config_file.read_text(encoding="utf-8"))
        weights = unet2d.from_unet2d(weight_files.read(found[0])[0], config)
    except UserError as error:
        raise UserError(f"{source}: {error}") from error
    checkpoints.save(output, weights, config)
    return {"model": config.model_dump(mode="json", exclude_defaults=True)}
