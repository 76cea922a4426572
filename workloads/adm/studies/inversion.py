"""Figure 10: real images encoded by reversed DDIM and decoded, and interpolations between them (appendix H)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from adm import checkpoints
from adm.config import DiffusionConfig
from adm.diffusion import Diffusion, classifier_gradient
from adm.diffusion.interpolation import angles, interpolate_images
from adm.registries import SAMPLERS
from adm.sampling.stages import to_uint8
from adm.studies.panels import save_panel
from adm.training.precision import choose, computing_in
from adm.training.stages import WEIGHTS, weights_file
from assay.errors import UserError
from assay.workload import Batch, StageContext, load_attribute
from imaging.data import open_planned, to_model_range

PICTURE = "interpolation.png"
GREY_LEVELS_A_UNIT = 127.5
"""[-1, 1] in levels of 0 to 255."""


class Inverter:
    """A step of a fan-out over pairs of images: {"id"} → {"id", "row", "error"}.

    "row", uint8 (N, K + 2, H, W, C): a real image, interpolations, and another real image. "error", float32 (N, 2): the
    root mean square error of the two reconstructions over pixels, in grey levels. The images of pair i depend only on
    (seed, i).
    """

    def __init__(self, ctx: StageContext) -> None:
        config = ctx.config
        self._config, self._device = config, ctx.device
        self._precision = choose(ctx, "precision", config["precision"])
        self._diffusion = Diffusion.from_config(DiffusionConfig(**config["diffusion"]), config["steps"])
        sampler = SAMPLERS[config["sampler"]]
        assert sampler.reverse is not None, "the config was checked"
        self._decode, self._encode = sampler.load(), load_attribute(sampler.reverse)
        loaded = checkpoints.load(ctx.inputs["model"].file(weights_file(config["ema_rate"])))
        self._network = loaded.build().to(ctx.device).eval()
        self._model_classes = self._classes = loaded.config.num_classes
        self._cond_fn = None
        if "classifier" in ctx.inputs:
            judge = checkpoints.load(ctx.inputs["classifier"].file(WEIGHTS))
            self._classes = self._classes or judge.config.out_channels
            classifier = judge.build().to(ctx.device).eval()
            self._cond_fn = classifier_gradient(classifier, config["guidance_scale"])
        size, channels = loaded.config.image_size, loaded.config.in_channels
        self._source = open_planned(config["data"], size, channels, self._classes, threads=ctx.threads)
        if len(self._source) < 2:
            raise UserError(f"an interpolation needs 2 images, but the data has {len(self._source)}")

    def _model(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        """ε and v; if the model is unconditional, only the classifier uses the classes."""
        return self._network(x, t, y if self._model_classes else None)

    def __call__(self, batch: Batch) -> Batch:
        chosen = np.stack([self._pair(int(pair)) for pair in batch["id"]])
        (first, a), (second, b) = (self._source.read(chosen[:, side]) for side in (0, 1))
        ends = to_model_range(first, self._device), to_model_range(second, self._device)
        labels = None
        if self._classes is not None:
            labels = (torch.from_numpy(a).to(self._device), torch.from_numpy(b).to(self._device))
        with computing_in(self._precision, self._device):
            between = interpolate_images(
                self._diffusion,
                self._model,
                *ends,
                angles(self._config["num_images"]),
                labels=labels,
                num_classes=self._classes,
                cond_fn=self._cond_fn,
                encode=self._encode,
                decode=self._decode,
                clip_denoised=self._config["clip_denoised"],
            ).float()
        errors = [
            (decoded - image).square().mean(dim=(1, 2, 3)).sqrt() * GREY_LEVELS_A_UNIT
            for decoded, image in ((between[0], ends[0]), (between[-1], ends[1]))
        ]
        decoded = np.stack([to_uint8(images) for images in between], axis=1)
        row = np.concatenate([first[:, None], decoded, second[:, None]], axis=1)
        return {"id": batch["id"], "row": row, "error": torch.stack(errors, dim=1).cpu().numpy().astype(np.float32)}

    def _pair(self, pair: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        generator = np.random.default_rng([self._config["seed"], pair])
        return generator.choice(len(self._source), 2, replace=False).astype(np.int64)


def inversion(ctx: StageContext) -> Mapping[str, float]:
    """The rows as one picture, real images at both ends, and the mean error of the reconstructions, in grey levels."""
    table = ctx.inputs["pairs"].read(["row", "error"])
    rows, errors = (table.column(name).combine_chunks().to_numpy_ndarray() for name in ("row", "error"))
    save_panel(rows, ctx.output / PICTURE, wide_after=(0, rows.shape[1] - 2))
    return {"reconstruction_error": float(errors.mean()), "num_images": float(errors.size)}
