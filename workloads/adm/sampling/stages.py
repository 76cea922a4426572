"""The sampler, as a step of a fan-out: ids in, images out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from adm import checkpoints
from adm.config import DiffusionConfig, SampleConfig
from adm.diffusion import Diffusion, classifier_gradient
from adm.registries import SAMPLERS
from adm.sampling.noise import Ids, IndexedNoise, labels
from adm.sampling.upsampler import Upsampler
from adm.training.precision import choose, computing_in
from adm.training.stages import WEIGHTS, weights_file
from assay.errors import UserError
from assay.workload import Batch, StageContext
from imaging.data import to_model_range

Images = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]


class Sampler:
    """Draws image i from (seed, i, config) alone: {"id"} → {"id", "label", "image": uint8 (N, H, W, C)}.

    It has the networks of a config: the base model, guided or not, and the upsampler if there is one.
    """

    def __init__(self, ctx: StageContext) -> None:
        self._ctx = ctx
        self._config = SampleConfig(**ctx.config["sample"])
        self._device = ctx.device
        self._precision = choose(ctx, "sample.precision", self._config.precision)
        self._seed = ctx.config["seed"]
        self._noise = IndexedNoise(self._seed, ctx.device)
        self._diffusion = Diffusion.from_config(DiffusionConfig(**ctx.config["diffusion"]), self._config.steps)
        model = checkpoints.load(ctx.inputs["model"].file(weights_file(self._config.ema_rate)))
        self._model_config = model.config
        self._network = model.build().to(ctx.device).eval()
        self._classes = model.config.num_classes
        self._cond_fn = None
        if self._config.guidance_scale > 0:
            loaded = checkpoints.load(ctx.inputs["classifier"].file(WEIGHTS))
            classifier = loaded.build().to(ctx.device).eval()
            self._classes = self._classes or loaded.config.out_channels
            self._cond_fn = classifier_gradient(classifier, self._config.guidance_scale)
        self._upsampler = None
        if "upsampler" in ctx.config:
            network = checkpoints.load(ctx.inputs["upsampler"].file(WEIGHTS)).build().to(ctx.device).eval()
            self._upsampler = Upsampler(network, ctx.config["upsampler"], self._seed, ctx.device)

    def __call__(self, batch: Batch) -> Batch:
        ids = batch["id"]
        y = None
        if self._classes is not None:
            y = labels(ids, self._classes, self._config.labels, self._seed).to(self._device)
        steps = self._diffusion.num_timesteps
        all_steps = steps + (self._upsampler.num_timesteps if self._upsampler is not None else 0)

        def progress(done: int) -> None:
            self._ctx.progress(len(ids) * done // all_steps)

        with computing_in(self._precision, self._device):
            images = to_uint8(self._base(ids, y, progress))
            if self._upsampler is not None:
                low_res = to_model_range(images, self._device)
                images = to_uint8(self._upsampler(low_res, ids, y, lambda done: progress(steps + done)))
        drawn = np.full(len(ids), -1) if y is None else y.cpu().numpy()
        return {"id": ids, "label": drawn.astype(np.int64), "image": images}

    def _base(self, ids: Ids, y: Tensor | None, progress: Callable[[int], None]) -> Tensor:
        """x_0 of the base model, (N, C, H, W)."""
        config, size = self._config, self._model_config.image_size
        shape = (self._model_config.in_channels, size, size)
        options: dict[str, Any] = {
            "noise": self._noise.initial(ids, shape),
            "step_noise": lambda t: self._noise.step(ids, t, shape),
            "model_kwargs": {} if y is None else {"y": y},
            "progress": lambda done, total: progress(done),
        }
        sampler = SAMPLERS[config.sampler]
        options |= {name: getattr(config, name) for name in sampler.options}
        if self._cond_fn is not None:
            options["cond_fn"] = self._cond_fn
        return sampler.load()(self._diffusion, self._model, **options)

    def _model(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        """ε and v: the labels are the classifier's alone when the model is unconditional."""
        return self._network(x, t, y if self._model_config.num_classes else None)


def to_uint8(x: Tensor) -> Images:
    """Images (N, C, H, W) in [-1, 1] → uint8 (N, H, W, C), rounded down as the reference sampler does.

    Raises UserError for NaN and infinity, which would become black or white.
    """
    if not bool(torch.isfinite(x).all()):
        raise UserError(
            "images hold NaN or infinity: the network gives no numbers. Look at the loss of its training, and try "
            "sample.precision fp32"
        )
    scaled = ((x.float() + 1) * 127.5).clamp(0, 255).to(torch.uint8)
    return scaled.permute(0, 2, 3, 1).contiguous().cpu().numpy()
