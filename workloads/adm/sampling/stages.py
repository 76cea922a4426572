"""The sampler, as a step of a fan-out: ids in, images out."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from adm import checkpoints
from adm.config import DiffusionConfig, SampleConfig
from adm.diffusion import Diffusion, classifier_gradient
from adm.sampling.noise import IndexedNoise, labels
from adm.training.precision import computing_in, resolve
from adm.training.stages import WEIGHTS, weights_file
from assay.workload import Batch, StageContext


class Sampler:
    """Draws image i from (seed, i, config) alone: {"id"} → {"id", "label", "image": uint8 (N, H, W, C)}."""

    def __init__(self, ctx: StageContext) -> None:
        self._config = SampleConfig(**ctx.config["sample"])
        self._device = ctx.device
        self._precision = resolve(self._config.precision, ctx.device)
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

    def _model(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        """ε and v: the labels are the classifier's alone when the model is unconditional."""
        return self._network(x, t, y if self._model_config.num_classes else None)

    def __call__(self, batch: Batch) -> Batch:
        ids, config, size = batch["id"], self._config, self._model_config.image_size
        shape = (self._model_config.in_channels, size, size)
        y = None
        if self._classes is not None:
            y = labels(ids, self._classes, config.labels, self._seed).to(self._device)
        options: dict[str, Any] = {
            "clip_denoised": config.clip_denoised,
            "temperature": config.temperature,
            "temperature_scales": config.temperature_scales,
            "cond_fn": self._cond_fn,
            "model_kwargs": {} if y is None else {"y": y},
            "step_noise": lambda t: self._noise.step(ids, t, shape),
        }
        x_T = self._noise.initial(ids, shape)
        with computing_in(self._precision, self._device):
            if config.sampler == "ddim":
                x0 = self._diffusion.ddim_loop(self._model, noise=x_T, eta=config.eta, **options)
            else:
                x0 = self._diffusion.sample_loop(self._model, noise=x_T, guidance_at=config.guidance_at, **options)
        drawn = np.full(len(ids), -1) if y is None else y.cpu().numpy()
        return {"id": ids, "label": drawn.astype(np.int64), "image": to_uint8(x0)}


def to_uint8(x: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Images (N, C, H, W) in [-1, 1] → uint8 (N, H, W, C), rounded down as the reference sampler does."""
    scaled = ((x.float() + 1) * 127.5).clamp(0, 255).to(torch.uint8)
    return scaled.permute(0, 2, 3, 1).contiguous().cpu().numpy()
