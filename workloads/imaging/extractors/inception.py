"""InceptionV3, whose features FID, sFID, the Inception score, precision and recall are computed in."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from assay.errors import UserError
from imaging.blank import allocate, blank
from imaging.contents import sha256_of
from imaging.extractors import inception_weights
from imaging.extractors.inception_network import Network, folded
from imaging.named_fields import NamedFields

Precision = Literal["fp32", "bf16"]
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
SIDE = 299
"""Pixels per side that images are resized to."""


@dataclass(frozen=True, eq=False)
class InceptionFeatures(NamedFields):
    """Features of N images, float32, on the network's device. Read `out.pool` or `out["pool"]`."""

    pool: Tensor  # (N, 2048): FID, KID, precision and recall
    spatial: Tensor  # (N, 2023): sFID
    logits: Tensor  # (N, 1008), without the last layer's bias: the Inception score


class InceptionV3(Network):
    """The network that FID is defined by: uint8 (N, 3, H, W) to `InceptionFeatures`, as in the published evaluator.

    `weights` is a file, a state dict, or None for the published file (`inception_weights.find`), which is then loaded
    before the first images unless other weights are. A file must have the published checksum unless `any_weights`.
    Keys are those of the published file.

    `precision="bf16"` is about twice as fast on a CPU with bf16 arithmetic. Its relative error is 0.4% in `pool` and 1%
    in `spatial`. FID changed by at most 1% with both sides in bf16, and by 2% to 4% with bf16 samples against an fp32
    reference (tests/bench/inception.py, synthetic weights), so the name of the features includes the precision.
    fp32 on a GPU is fp32, not TF32. Images pass in one batch, always in evaluation mode and without gradients.

    Raises UserError for a precision that the device does not support, and the errors of `inception_weights`.
    """

    def __init__(
        self,
        weights: str | os.PathLike[str] | Mapping[str, Tensor] | None = None,
        *,
        precision: Precision = "fp32",
        any_weights: bool = False,
    ) -> None:
        if precision not in get_args(Precision):
            raise UserError(f"precision must be one of {', '.join(get_args(Precision))}; got {precision!r}")
        with blank():
            super().__init__()
        self.precision = precision
        self._name: str | None = None
        self._fast: list[Network] = []  # in a list, so that it is not in the state dict
        allocate(self)
        self.eval().requires_grad_(False)
        if isinstance(weights, Mapping):
            self.load(weights)
        elif weights is not None:
            self.load_file(weights, any_weights=any_weights)
        else:
            self.fc.weight.fill_(torch.nan)  # marks that no weights are loaded yet

    @property
    def extractor(self) -> str:
        """Name of the extractor: "inception-2015-12-05", or with a digest of other weights."""
        if self._name is None:
            self._name = inception_weights.tensors_name(self.state_dict())
        return self._name

    @property
    def features_name(self) -> str:
        """`extractor`, with the precision unless it is fp32. A distance requires the same name on both sides."""
        return inception_weights.features_name(self.extractor, self.precision)

    @property
    def is_published(self) -> bool:
        """Whether these are the weights that FID is defined by."""
        return self.extractor == inception_weights.PUBLISHED

    def load_published(self) -> None:
        """Load the published file that `inception_weights.find` returns."""
        self.load_file(inception_weights.find())

    def load_file(self, path: str | os.PathLike[str], *, any_weights: bool = False) -> None:
        """Load a file of weights, which must be the published one unless `any_weights`."""
        path = inception_weights.find(path)
        self.load(inception_weights.read(path, any_weights=any_weights), f"{path}: ")
        self._name = inception_weights.extractor_name(sha256_of(path))

    def load(self, weights: Mapping[str, Tensor], origin: str = "") -> None:
        """Load a state dict. Raises UserError, with `origin` as prefix, if a key or a shape differs."""
        own = self.state_dict()
        wrong = [key for key in own if key not in weights or weights[key].shape != own[key].shape]
        wrong += [key for key in weights if key not in own]
        if wrong:
            raise UserError(
                f"{origin}these are not weights of this Inception: {len(wrong)} of {len(own)} keys are missing, "
                f"unknown or of another shape, the first {wrong[0]}. The published file is {inception_weights.URL}"
            )
        self.load_state_dict(dict(weights))

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        self._fast.clear()
        self._name = None
        return super().load_state_dict(state_dict, strict, assign)

    @torch.no_grad()
    def forward(self, images: Tensor) -> InceptionFeatures:
        """uint8 (N, 3, H, W), on any device. Raises UserError for images of another dtype or shape."""
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3 or 0 in images.shape:
            raise UserError(
                f"Inception takes images uint8 (N, 3, H, W), 0 to 255; got {images.dtype} {tuple(images.shape)}"
            )
        if bool(self.fc.weight[0, 0].isnan()):
            self.load_published()
        device = self.fc.weight.device
        dtype = DTYPES[self.precision]
        x = resized_as_tensorflow_1(images.to(device), SIDE).sub_(128).div_(128)
        with without_tf32(device):
            pool, spatial = self._folded(device, dtype).trunk(x.to(dtype, memory_format=torch.channels_last))
            return InceptionFeatures(pool, spatial, functional.linear(pool, self.fc.weight))

    def _folded(self, device: torch.device, dtype: torch.dtype) -> Network:
        if not self._fast:
            if device.type == "cuda" and dtype == torch.bfloat16 and torch.cuda.get_device_capability(device) < (8, 0):
                raise UserError(f"{torch.cuda.get_device_name(device)} has no bf16: use precision fp32")
            self._fast.append(folded(self).to(dtype, memory_format=torch.channels_last))  # type: ignore[call-overload]
        return self._fast[0]

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> InceptionV3:
        self._fast.clear()  # moved to another device
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self


def resized_as_tensorflow_1(images: Tensor, side: int) -> Tensor:
    """uint8 (N, C, H, W) to float32 (N, C, side, side), as `tf.image.resize_bilinear` of TensorFlow 1 does.

    Pixel i is sampled at i · H/side: no half-pixel offset, no antialiasing, and the last pixel repeats beyond the edge.
    That is the rule of align_corners, (H' − 1)/(side' − 1), with one more pixel before and after.
    """
    x = images.to(torch.float32, memory_format=torch.channels_last)
    if x.shape[2:] == (side, side):
        return x
    x = functional.pad(x, (0, 1, 0, 1), mode="replicate")
    return functional.interpolate(x, (side + 1, side + 1), mode="bilinear", align_corners=True)[:, :, :side, :side]


def without_tf32(device: torch.device) -> contextlib.AbstractContextManager[None]:
    """Disable TF32, with which cuDNN rounds fp32 convolutions' inputs to 10 bits, so that FID does not depend on it."""
    if device.type != "cuda":
        return contextlib.nullcontext()
    return torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=False)
