"""The body of the stage `draw`: ids in, images out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor

from adm import checkpoints
from adm.config import DiffusionConfig, SampleConfig
from adm.diffusion import Diffusion
from adm.registries import SAMPLERS
from adm.sampling.networks import Networks
from adm.sampling.upsampler import Upsampler
from adm.training.precision import choose, computing_in
from adm.training.stages import WEIGHTS
from assay.workload import Batch, StageContext
from imaging.data import to_model_range, to_uint8
from imaging.noise import Ids, IndexedNoise, labels


class Sampler:
    """Samples image i from (seed, i, config) alone: {"id"} → {"id", "label", "image": uint8 (N, H, W, C)}.

    Runs the base model, guided or not, and then the upsampler if there is one.
    """

    def __init__(self, ctx: StageContext) -> None:
        self._ctx = ctx
        self._config = SampleConfig(**ctx.config["sample"])
        self._device = ctx.device
        self._precision = choose(ctx, "sample.precision", self._config.precision)
        self._seed = ctx.config["seed"]
        self._noise = IndexedNoise(self._seed, ctx.device)
        self._diffusion = Diffusion.from_config(DiffusionConfig(**ctx.config["diffusion"]), self._config.steps)
        self._networks = Networks(ctx, self._config)
        self._upsampler = None
        if "upsampler" in ctx.config:
            network = checkpoints.load(ctx.inputs["upsampler"].file(WEIGHTS)).build().to(ctx.device).eval()
            self._upsampler = Upsampler(network, ctx.config["upsampler"], self._seed, ctx.device)

    def __call__(self, batch: Batch) -> Batch:
        ids = batch["id"]
        y = None
        if (num_classes := self._networks.num_classes) is not None:
            y = labels(ids, num_classes, self._config.labels, self._seed).to(self._device)
        steps = self._diffusion.num_timesteps
        all_steps = steps + (self._upsampler.num_timesteps if self._upsampler is not None else 0)

        def progress(done: int) -> None:
            self._ctx.progress(len(ids) * done // all_steps)

        with computing_in(self._precision, self._device):
            images = to_uint8(self._base(ids, y, progress))
            if self._upsampler is not None:
                low_res = to_model_range(images, self._device)
                images = to_uint8(self._upsampler(low_res, ids, y, lambda done: progress(steps + done)))
        classes = np.full(len(ids), -1) if y is None else y.cpu().numpy()
        return {"id": ids, "label": classes.astype(np.int64), "image": images}

    def _base(self, ids: Ids, y: Tensor | None, progress: Callable[[int], None]) -> Tensor:
        """x_0 of the base model, (N, C, H, W)."""
        config, model = self._config, self._networks.config
        shape = (model.in_channels, model.image_size, model.image_size)
        options: dict[str, Any] = {
            "noise": self._noise.initial(ids, shape),
            "step_noise": lambda t: self._noise.step(ids, t, shape),
            "model_kwargs": {} if y is None else {"y": y},
            "progress": lambda done, total: progress(done),
        }
        sampler = SAMPLERS[config.sampler]
        options |= {name: getattr(config, name) for name in sampler.options}
        if self._networks.cond_fn is not None:
            options["cond_fn"] = self._networks.cond_fn
        return sampler.load()(self._diffusion, self._networks.model, **options)
