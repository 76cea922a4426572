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
from torch import Tensor

from adm import presets
from adm.checkpoints import files
from adm.checkpoints.fit import fitting_presets, prefixes_that_fit, shape_differences, silent_differences
from adm.config import ModelConfig
from adm.models import build
from adm.models.trunk import Trunk
from assay.errors import AssayWarning, UserError

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
"""Names of the published files, and the preset of each."""


class Checkpoint(Mapping[str, Tensor]):
    """A state dict with the config of its network."""

    def __init__(
        self, weights: Mapping[str, Tensor], config: ModelConfig | None, path: Path, guessed_from: str | None = None
    ) -> None:
        """`guessed_from` is the preset that `config` comes from, if only the shapes point to it."""
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
        """Raises UserError naming every key that does not fit the network of `config`, and the presets that would fit.

        Warns:
            AssayWarning: the shapes fit, but the file lacks what they do not determine, and a preset differs in it.
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
        unlike = silent_differences(self._config, config, f"the preset {self._guessed_from}")
        if unlike:
            more = f", and {len(unlike) - 1} more such" if len(unlike) > 1 else ""
            warnings.warn(
                f"{self.path} does not contain its qkv order, heads or rescale_skip, so they are taken "
                f"from the model's config; a preset with the same shapes differs ({unlike[0]}{more})",
                AssayWarning,
                stacklevel=3,
            )

    def build(self, config: ModelConfig | None = None) -> Trunk:
        """The network of `config`, or of the file, with these weights in float32 on the CPU.

        Raises UserError as `check` and `config` do.
        """
        config = config or self.config
        self.check(config)
        with torch.device("meta"):
            model = build(config)
        model = model.to_empty(device="cpu")
        model.load_state_dict(self._weights)
        return model


def load(path: str | Path) -> Checkpoint:
    """Read a published (.pt) or native (.safetensors) file, on the CPU.

    For a file with neither a config nor a published name, the first preset that fits its shapes is assumed.

    Raises UserError if the file is missing, damaged or not a set of named tensors, or if it is a pickle that contains
    code, which is not run.
    """
    path = Path(path)
    weights, config = files.read(path)
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
    files.write_native(Path(path), weights, config)


def export_published(path: str | Path, weights: Mapping[str, Tensor], config: ModelConfig) -> None:
    """Write a .pt file like the published ones: a state dict, its keys in the network's order.

    Such a file cannot contain its qkv order or heads: readers take them from the file's name or from a preset with the
    same shapes. Raises UserError, naming the keys, if the weights do not fit the network of `config`.
    """
    Checkpoint(weights, None, Path(path)).check(config)
    files.write_published(Path(path), weights, config)


def _fitting(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
    """Presets that fit by shape; the one of the file's name comes first."""
    return sorted(fitting_presets(shapes), key=lambda name: name != PUBLISHED.get(path.name))
