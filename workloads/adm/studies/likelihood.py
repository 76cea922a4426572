"""The variational bound of a data set's negative log-likelihood, in bits per dimension (appendix C)."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from adm.config import DiffusionConfig, SampleConfig
from adm.diffusion import Diffusion
from adm.sampling.networks import Networks
from adm.training.precision import choose, computing_in
from assay.errors import UserError
from assay.workload import Batch, StageContext
from imaging.data import images_of_rows, open_planned, to_model_range
from imaging.noise import IndexedNoise

PICTURE, TABLE = "terms.png", "terms.csv"


class Bound:
    """The body of `bound`, over images: {"id"} → {"id", "prior": float32 (N,), "terms": float32 (N, T)}.

    "prior" is L_T, "terms" are L_0 … L_{T−1}, by the respaced timestep (equations 9 to 11). The noise of image i at
    step t depends on (seed, i, t) alone.
    """

    def __init__(self, ctx: StageContext) -> None:
        self._ctx, config = ctx, ctx.config
        self._device, self._clips = ctx.device, config["clip_denoised"]
        self._precision = choose(ctx, "precision", config["precision"])
        self._diffusion = Diffusion.from_config(DiffusionConfig(**config["diffusion"]), config["steps"])
        self._networks = networks = Networks(ctx, SampleConfig(ema_rate=config["ema_rate"]))
        self._noise = IndexedNoise(config["seed"], ctx.device)
        size, channels = networks.config.image_size, networks.config.in_channels
        self._source = open_planned(config["data"], size, channels, networks.num_classes, threads=ctx.threads)
        there = len(self._source)
        if ctx.amount > there:
            raise UserError(f"likelihood.num_images is {ctx.amount}, but the data has {there}; ask for at most {there}")
        self._images = images_of_rows(config["order"], there)

    def __call__(self, batch: Batch) -> Batch:
        ids = batch["id"]
        images, labels = self._source.read(self._images[ids])
        x0 = to_model_range(images, self._device)
        y = {} if self._networks.num_classes is None else {"y": torch.from_numpy(labels).to(self._device)}
        with computing_in(self._precision, self._device):
            bits = self._diffusion.bits_per_dim(
                self._networks.model,
                x0,
                self._clips,
                y,
                noise=lambda t: self._noise.step(ids, t, x0.shape[1:]),
                progress=lambda done, total: self._ctx.progress(len(ids) * done // total),
            )
        terms = bits.vb.flip(1).float().cpu().numpy()
        return {"id": ids, "prior": bits.prior_bpd.float().cpu().numpy(), "terms": terms}


def likelihood(ctx: StageContext) -> Mapping[str, float]:
    """The mean of L_vlb over images (equation 8) with its standard error, and of L_T alone. Draws and lists the mean of
    each term."""
    table = ctx.inputs["bound"].read(["prior", "terms"])
    prior = table.column("prior").to_numpy().astype(np.float64)
    terms = table.column("terms").combine_chunks().to_numpy_ndarray().astype(np.float64)
    totals = terms.sum(axis=1) + prior
    _write(terms.mean(axis=0), ctx.config["timesteps"], ctx.output)
    error = totals.std(ddof=1) / len(totals) ** 0.5 if len(totals) > 1 else float("nan")
    return {
        "bits_per_dim": float(totals.mean()),
        "bits_per_dim_se": float(error),
        "prior_bits_per_dim": float(prior.mean()),
        "num_images": float(len(totals)),
    }


def _write(terms: np.ndarray[tuple[int], np.dtype[np.float64]], timesteps: list[int], folder: Path) -> None:
    """The mean terms, by the timestep of the training's process."""
    from matplotlib.figure import Figure

    with (folder / TABLE).open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["timestep", "bits_per_dim"])
        rows.writerows(zip(timesteps, terms.tolist(), strict=True))
    figure = Figure(figsize=(5, 3.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(timesteps, terms)
    axes.set(xlabel="timestep t", ylabel="bits per dimension", yscale="log" if (terms > 0).all() else "linear")
    axes.grid(alpha=0.3)
    figure.savefig(folder / PICTURE, dpi=100)
