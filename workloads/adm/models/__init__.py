"""The networks of the paper: U-Net, upsampler, classifier.

`build` imports torch when called; `adm.models.layout`, which describes these networks as data, imports none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adm.config import ModelConfig
from adm.models.options import model_config
from adm.registries import NETWORKS
from assay.errors import UserError

if TYPE_CHECKING:
    from adm.models.trunk import Trunk

__all__ = ["build"]


def build(config: ModelConfig | None = None, *, kind: str | None = None, **options: Any) -> Trunk:
    """A network with fresh weights, from a config or from the option names of the published code.

        build(config.model)
        build(kind="unet", image_size=64, in_channels=3, model_channels=192, …)

    The module is called as `model(x, t, y=None, low_res=None)`: x (N, C, H, W), timesteps t (N,), classes y (N,) or
    weights of their embeddings (N, num_classes), low_res (N, C, h, w) for an upsampler. Its state dict has the keys and
    shapes of the published checkpoints.

    Raises UserError (a ValueError) for an unknown option, naming it, and for widths that do not fit.
    """
    if (config is None) == (kind is None):
        raise UserError("build takes either a ModelConfig or kind= with options")
    if config is None:
        assert kind is not None
        config = model_config(kind, options)
    elif options:
        raise UserError(f"options {', '.join(options)} are for build(kind=…); change the ModelConfig instead")
    return NETWORKS[config.kind].load()(config)
