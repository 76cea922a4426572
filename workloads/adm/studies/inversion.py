"""Figure 10: real images encoded by reversed DDIM and decoded, and interpolations between them (appendix H)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from adm.config import DiffusionConfig, SampleConfig
from adm.diffusion import Diffusion
from adm.diffusion.interpolation import angles, interpolate_images
from adm.registries import SAMPLERS
from adm.sampling.networks import Networks
from adm.training.precision import choose, computing_in
from assay.errors import UserError
from assay.workload import Batch, StageContext, load_attribute
from imaging.data import open_planned, to_model_range, to_uint8
from imaging.evaluation.grid import save_panel

PICTURE = "interpolation.png"
GREY_LEVELS_PER_UNIT = 127.5
"""[-1, 1] spans grey levels 0 to 255."""


class Inverter:
    """The body of `invert`, over pairs of images: {"id"} → {"id", "row", "error"}.

    "row", uint8 (N, K + 2, H, W, C): a real image, its reconstruction, interpolations, and the same of another real
    image. "error", float32 (N, 2): the root mean square error of both reconstructions over pixels, in grey levels. The
    images of pair i depend on (seed, i) alone.
    """

    def __init__(self, ctx: StageContext) -> None:
        config = ctx.config
        self._config, self._device = config, ctx.device
        self._precision = choose(ctx, "precision", config["precision"])
        self._diffusion = Diffusion.from_config(DiffusionConfig(**config["diffusion"]), config["steps"])
        sampler = SAMPLERS[config["sampler"]]
        assert sampler.reverse is not None, "checked when the sweep was planned"
        self._decode, self._encode = sampler.load(), load_attribute(sampler.reverse)
        self._networks = networks = Networks(
            ctx, SampleConfig(ema_rate=config["ema_rate"], guidance_scale=config["guidance_scale"])
        )
        size, channels = networks.config.image_size, networks.config.in_channels
        self._source = open_planned(config["data"], size, channels, networks.num_classes, threads=ctx.threads)
        if len(self._source) < 2:
            raise UserError(f"an interpolation needs 2 images, but the data has {len(self._source)}")

    def __call__(self, batch: Batch) -> Batch:
        pairs = np.stack([self._pair(int(pair)) for pair in batch["id"]])
        (first, a), (second, b) = (self._source.read(pairs[:, side]) for side in (0, 1))
        ends = to_model_range(first, self._device), to_model_range(second, self._device)
        labels = None
        if self._networks.num_classes is not None:
            labels = (torch.from_numpy(a).to(self._device), torch.from_numpy(b).to(self._device))
        with computing_in(self._precision, self._device):
            interpolations = interpolate_images(
                self._diffusion,
                self._networks.model,
                *ends,
                angles(self._config["num_images"]),
                labels=labels,
                num_classes=self._networks.num_classes,
                cond_fn=self._networks.cond_fn,
                encode=self._encode,
                decode=self._decode,
                clip_denoised=self._config["clip_denoised"],
            ).float()
        errors = [
            (decoded - image).square().mean(dim=(1, 2, 3)).sqrt() * GREY_LEVELS_PER_UNIT
            for decoded, image in ((interpolations[0], ends[0]), (interpolations[-1], ends[1]))
        ]
        decoded = np.stack([to_uint8(images) for images in interpolations], axis=1)
        row = np.concatenate([first[:, None], decoded, second[:, None]], axis=1)
        return {"id": batch["id"], "row": row, "error": torch.stack(errors, dim=1).cpu().numpy().astype(np.float32)}

    def _pair(self, pair: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        generator = np.random.default_rng([self._config["seed"], pair])
        return generator.choice(len(self._source), 2, replace=False).astype(np.int64)


def inversion(ctx: StageContext) -> Mapping[str, float]:
    """Draw the rows as one picture, and average the error of the reconstructions, in grey levels."""
    table = ctx.inputs["pairs"].read(["row", "error"])
    rows, errors = (table.column(name).combine_chunks().to_numpy_ndarray() for name in ("row", "error"))
    save_panel(rows, ctx.output / PICTURE, wide_after=(0, rows.shape[1] - 2))
    return {"reconstruction_error": float(errors.mean()), "num_images": float(errors.size)}
