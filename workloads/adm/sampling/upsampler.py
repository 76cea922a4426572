"""The second stage of two-stage sampling: a diffusion model that upsamples the base model's images (table 13).

Its input is the base model's images in 8 bits per channel, as the published scripts store them in between. It is
conditioned on the labels, and is not guided.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from adm.config import DiffusionConfig
from adm.diffusion import Diffusion, upsample_loop
from adm.models.trunk import Trunk
from adm.registries import SAMPLERS
from imaging.noise import Ids, IndexedNoise


class Upsampler:
    """Upsamples image i with noise that depends on (seed, i, config) alone."""

    def __init__(self, network: Trunk, config: Mapping[str, Any], seed: int, device: str) -> None:
        """`config` has "diffusion" (a DiffusionConfig), "sampler", "steps", "eta" and "clip_denoised"."""
        self._network = network
        self._config = config
        self._diffusion = Diffusion.from_config(DiffusionConfig(**config["diffusion"]), config["steps"])
        self._noise = IndexedNoise(seed, device, use="upsampling")

    @property
    def num_timesteps(self) -> int:
        return self._diffusion.num_timesteps

    def __call__(self, low_res: Tensor, ids: Ids, y: Tensor | None, progress: Callable[[int], None]) -> Tensor:
        """low_res (N, C, h, w) in [-1, 1] → x_0 (N, C, H, W)."""
        model = self._network.config
        shape = (model.in_channels, model.image_size, model.image_size)
        sampler = SAMPLERS[self._config["sampler"]]
        return upsample_loop(
            self._diffusion,
            self._network,
            low_res,
            model.image_size,
            noise=self._noise.initial(ids, shape),
            loop=sampler.load(),
            model_kwargs={"y": y} if model.num_classes else {},
            step_noise=lambda t: self._noise.step(ids, t, shape),
            progress=lambda done, total: progress(done),
            **{name: self._config[name] for name in sampler.options if name in self._config},
        )
