"""BigGAN-deep ("Large Scale GAN Training for High Fidelity Natural Image Synthesis", https://arxiv.org/abs/1809.11096,
appendix B): the rival of diffusion models, sampled at any truncation from published weights, or trained from scratch.

    model = biggan.build(channel_width=128, z_dim=128, num_classes=1000, layers=…, attention_layer_position=8)
    biggan.load_published(model, torch.load("biggan-deep-128-pytorch_model.bin", weights_only=True))
    images = model(truncation * z, y, truncation)     # z from a truncated normal; images (N, 3, H, W) in [-1, 1]

Cheap to import: torch waits for use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from biggan.generator import BigGAN, build
    from biggan.published import load_published

__all__ = ["BigGAN", "build", "load_published"]

_MODULES = {
    **dict.fromkeys(("BigGAN", "build"), "biggan.generator"),
    "load_published": "biggan.published",
}
"""Public name → where it is."""


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
