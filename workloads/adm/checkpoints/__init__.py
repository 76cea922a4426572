"""Weights in files: the published .pt checkpoints, and ours (safetensors containing the model's config).

    checkpoint = load("lsun_bedroom.pt")          # a mapping of keys to tensors, like a state dict
    model = checkpoint.build()                    # the network of the file, with these weights
    model = checkpoint.build(config.model)        # or an error naming every key that does not fit

Shapes do not determine everything: they are the same for both qkv orders and for any number of heads. Our files
contain both; published files are recognised by name. For others, the preset that fits the shapes is a guess, which
a config overrules.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors.torch import save_file
from torch import Tensor

from adm import presets
from adm.checkpoints.fit import (
    expected_shapes,
    fitting_presets,
    prefixes_that_fit,
    shape_differences,
    silent_differences,
)
from adm.config import ModelConfig
from adm.models import build
from adm.models.trunk import Trunk
from assay.errors import AssayWarning, UserError
from imaging import weight_files
from imaging.blank import allocate, blank
from imaging.paths import written_whole

__all__ = ["PUBLISHED", "Checkpoint", "export_published", "load", "save"]

PUBLISHED = {
    **{f"{size}x{size}_diffusion.pt": f"imagenet{size}" for size in (64, 128, 256, 512)},
    **{f"{size}x{size}_classifier.pt": f"classifier{size}" for size in (64, 128, 256, 512)},
    "256x256_diffusion_uncond.pt": "imagenet256_uncond",
    "64_256_upsampler.pt": "upsample_64_256",
    "128_512_upsampler.pt": "upsample_128_512",
    "lsun_bedroom.pt": "lsun_bedroom_256",
    "lsun_cat.pt": "lsun_cat_256",
    "lsun_horse.pt": "lsun_horse_256",
    "lsun_horse_nodropout.pt": "lsun_horse_nodropout_256",
}
"""Published file → the preset of its network."""
CONFIG_KEY = "adm.model"
"""The field in a native file's header that has the ModelConfig, as JSON."""


class Checkpoint(Mapping[str, Tensor]):
    """A state dict with the config of its network."""

    def __init__(
        self, weights: Mapping[str, Tensor], config: ModelConfig | None, path: Path, guessed_from: str | None = None
    ) -> None:
        """`guessed_from` is the preset that `config` was taken from because its shapes fit."""
        self._weights = dict(weights)
        self._config = config
        self._guessed_from = guessed_from
        self.path = path

    def __getitem__(self, key: str) -> Tensor:
        return self._weights[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._weights)

    def __len__(self) -> int:
        return len(self._weights)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {key: tuple(value.shape) for key, value in self._weights.items()}

    @property
    def config(self) -> ModelConfig:
        """The config of the network. Raises UserError if neither the file nor a preset determines it."""
        if self._config is None:
            raise UserError(
                f"{self.path} has no model config in it, and its shapes fit no preset; give the model's config"
            )
        return self._config

    def check(self, config: ModelConfig) -> None:
        """Raise UserError naming every key that does not fit the network of `config`, and the presets that would fit.

        Warns:
            AssayWarning: the shapes fit, but the file does not record its qkv order, heads or rescale_skip, and a
                preset of the same shapes differs in them.
        """
        lines = shape_differences(self.shapes, config)
        known = self._config if self._guessed_from is None else None
        if not lines and known is not None:
            lines = silent_differences(known, config)
        if not lines:
            self._warn_of_a_guess(config)
            return
        if prefixes := prefixes_that_fit(self.shapes, config):
            named = " and ".join(map(repr, prefixes))
            raise UserError(
                f"{self.path} does not fit the model, but its keys that start with {named} do: save only them, "
                "without that prefix"
            )
        fitting = _fitting(self.path, self.shapes)
        # Do not recommend a preset with these shapes that would compute something else.
        if known is not None:
            fitting = [name for name in fitting if not silent_differences(known, presets.load(name).model)]
        advice = f"it fits the preset {' or '.join(fitting)}" if fitting else "it fits no preset"
        raise UserError("\n  ".join([f"{self.path} does not fit the model in {len(lines)} keys; {advice}:", *lines]))

    def _warn_of_a_guess(self, config: ModelConfig) -> None:
        if self._config is None or self._guessed_from is None:
            return
        differences = silent_differences(self._config, config, f"the preset {self._guessed_from}")
        if differences:
            more = f", and {len(differences) - 1} more" if len(differences) > 1 else ""
            warnings.warn(
                f"{self.path} does not contain its qkv order, heads or rescale_skip, so they are taken "
                f"from the model's config; a preset with the same shapes differs ({differences[0]}{more})",
                AssayWarning,
                stacklevel=3,
            )

    def build(self, config: ModelConfig | None = None) -> Trunk:
        """The network of `config`, or of the file, with these weights in float32 on the CPU.

        Raises UserError as `check` and `config` do.
        """
        config = config or self.config
        self.check(config)
        with blank():
            model = build(config)
        allocate(model)
        model.load_state_dict(self._weights)
        return model


def load(path: str | Path) -> Checkpoint:
    """Read a published (.pt) or native (.safetensors) file, on the CPU.

    For a file with neither a config nor a published name, the first preset that fits its shapes is assumed.

    Raises UserError if the file is missing, damaged or not a set of named tensors, or if it is a pickle that contains
    code, which is not run.
    """
    path = Path(path)
    weights, config = _read(path)
    if config is not None:
        return Checkpoint(weights, config, path)
    fitting = _fitting(path, {key: tuple(value.shape) for key, value in weights.items()})
    if not fitting:
        return Checkpoint(weights, None, path)
    is_by_name = fitting[0] == PUBLISHED.get(path.name)
    return Checkpoint(weights, presets.load(fitting[0]).model, path, None if is_by_name else fitting[0])


def save(path: str | Path, weights: Mapping[str, Tensor], config: ModelConfig) -> None:
    """Write a native file: safetensors, with `config` in its header, atomically.

    Raises UserError, naming the keys, if the weights do not fit the network of `config`.
    """
    Checkpoint(weights, None, Path(path)).check(config)
    metadata = {"format": "pt", CONFIG_KEY: config.model_dump_json()}
    with written_whole(Path(path)) as partial:
        save_file(_plain(weights, config), partial, metadata)


def export_published(path: str | Path, weights: Mapping[str, Tensor], config: ModelConfig) -> None:
    """Write a .pt file like the published ones: a state dict, its keys in the network's order.

    Such a file cannot contain its qkv order or heads: readers take them from the file's name or from a preset with the
    same shapes. Raises UserError, naming the keys, if the weights do not fit the network of `config`.
    """
    Checkpoint(weights, None, Path(path)).check(config)
    with written_whole(Path(path)) as partial:
        torch.save(_plain(weights, config), partial)


def _read(path: Path) -> tuple[dict[str, Tensor], ModelConfig | None]:
    """The tensors of a file by key, and the config in its header. Raises and warns as `load` and `weight_files.read`
    do."""
    weights, header = weight_files.read(path, CONFIG_KEY)
    if header is None:
        return weights, None
    try:
        return weights, ModelConfig.model_validate_json(header)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}".removeprefix(": ") for problem in error.errors()
        )
        raise UserError(f"{path} has a model config that this version cannot read: {wrong}") from error


def _plain(weights: Mapping[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """The weights on the CPU, contiguous, not sharing memory, in the order of the network's keys."""
    return {key: weights[key].detach().cpu().contiguous().clone() for key in expected_shapes(config)}


def _fitting(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
    """Presets whose shapes fit; the one that the file's name stands for comes first."""
    return sorted(fitting_presets(shapes), key=lambda name: name != PUBLISHED.get(path.name))
