"""The body of the stage `draw`: ids in, images out."""

from __future__ import annotations

import torch

from assay.workload import Batch, StageContext
from biggan.noise import truncated
from biggan.training import WEIGHTS, load_generator
from imaging.data import to_uint8
from imaging.noise import IndexedNoise, labels


class Sampler:
    """Draws image i from (seed, i, config) alone: {"id"} → {"id", "label", "image": uint8 (N, H, W, C)}.

    The noise of image i differs between truncations only in its scale.
    """

    def __init__(self, ctx: StageContext) -> None:
        self._seed, self._device, self._how = ctx.config["seed"], ctx.device, ctx.config["sample"]
        model = load_generator(ctx.inputs["generator"].file(WEIGHTS), ctx.config["generator"])
        self._model = model.to(ctx.device).eval()
        self._noise = IndexedNoise(self._seed)

    @torch.no_grad()
    def __call__(self, batch: Batch) -> Batch:
        ids, c, truncation = batch["id"], self._model.config, self._how["truncation"]
        y = labels(ids, c.num_classes, self._how["labels"], self._seed)
        # On the CPU, so that it has the same bits on every device.
        z = truncation * truncated(self._noise.initial(ids, (c.z_dim,)))
        images = self._model(z.to(self._device), y.to(self._device), truncation)
        return {"id": ids, "label": y.numpy(), "image": to_uint8(images)}
