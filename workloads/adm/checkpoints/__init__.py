"""Weights in files: the published .pt checkpoints, and ours (safetensors with the model's config inside).

    checkpoint = load("lsun_bedroom.pt")          # a mapping of keys to tensors, as state dicts are
    model = checkpoint.build()                    # the network it belongs to, with these weights
    model = checkpoint.build(config.model)        # or refuse, naming every key that does not fit

Shapes do not tell everything: both qkv orders, and any number of heads, have the same. Our files say which, and of a
published file the name does. For others the preset that the shapes fit is a guess, which a config overrules.
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
"""Names of the published files, and the preset each belongs to."""


class Checkpoint(Mapping[str, Tensor]):
    """A state dict that knows the network it belongs to."""

    def __init__(
        self, weights: Mapping[str, Tensor], config: ModelConfig | None, path: Path, guessed_from: str | None = None
    ) -> None:
        """`guessed_from` is the preset that `config` is of, where nothing but the shapes speaks for it."""
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
        """The network these weights belong to. Raises UserError when neither the file nor a preset says."""
        if self._config is None:
            raise UserError(
                f"{self.path} does not say what model it holds, and its shapes fit no preset; give the model's config"
            )
        return self._config

    def check(self, config: ModelConfig) -> None:
        """Raises UserError naming every key that does not fit the network of `config`, and the presets that would.

        Warns:
            AssayWarning: shapes fit, but the file does not say what they do not tell, and a preset would have it
                otherwise.
        """
        lines = shape_differences(self.shapes, config)
        said = self._config if self._guessed_from is None else None
        if not lines and said is not None:
            lines = silent_differences(said, config)
        if not lines:
            self._warn_of_a_guess(config)
            return
        if prefixes := prefixes_that_fit(self.shapes, config):
            named = " and ".join(map(repr, prefixes))
            raise UserError(
                f"{self.path} does not fit the model, but those of its keys do that begin with {named}: save them "
                "alone, without that prefix"
            )
        fitting = _fitting(self.path, self.shapes)
        # A preset with these shapes that would compute something else is no advice.
        if said is not None:
            fitting = [name for name in fitting if not silent_differences(said, presets.load(name).model)]
        advice = f"it fits the preset {' or '.join(fitting)}" if fitting else "it fits no preset"
        raise UserError("\n  ".join([f"{self.path} does not fit the model in {len(lines)} keys; {advice}:", *lines]))

    def _warn_of_a_guess(self, config: ModelConfig) -> None:
        if self._config is None or self._guessed_from is None:
            return
        unlike = silent_differences(self._config, config, f"the preset {self._guessed_from}")
        if unlike:
            more = f", and {len(unlike) - 1} more such" if len(unlike) > 1 else ""
            warnings.warn(
                f"{self.path} does not say the order of its qkv weights, its heads or rescale_skip, and they are taken "
                f"as the model's config has them; a preset of the same shapes differs ({unlike[0]}{more})",
                AssayWarning,
                stacklevel=3,
            )

    def build(self, config: ModelConfig | None = None) -> Trunk:
        """The network of `config`, or of the file, with these weights in float32, on the CPU.

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
    """The checkpoint in a published (.pt) or native (.safetensors) file, on the CPU.

    A file that neither says its config nor has a published name is taken for the first preset that its shapes fit.

    Raises UserError when there is no such file, when it is damaged or holds something else than named tensors, and for
    a pickle that holds code: it is not run.
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
    """Write a native file: safetensors, with `config` in its header. The file appears whole or not at all.

    Raises UserError, naming the keys, when the weights are not those of `config`'s network.
    """
    Checkpoint(weights, None, Path(path)).check(config)
    files.write_native(Path(path), weights, config)


def export_published(path: str | Path, weights: Mapping[str, Tensor], config: ModelConfig) -> None:
    """Write a .pt file as the published ones are: a state dict, its keys in the network's order.

    Such a file cannot say its qkv order or heads; a reader takes them from the file's name or from a preset's shapes.
    Raises UserError, naming the keys, when the weights are not those of `config`'s network.
    """
    Checkpoint(weights, None, Path(path)).check(config)
    files.write_published(Path(path), weights, config)


def _fitting(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
    """Presets that fit by shape, the one that the file's name says first."""
    return sorted(fitting_presets(shapes), key=lambda name: name != PUBLISHED.get(path.name))
