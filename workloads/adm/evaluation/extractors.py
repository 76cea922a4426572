"""What images are compared in. A metric is named after it: the Fréchet distance in these features is `fd_<name>`."""

from __future__ import annotations

import warnings
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from adm import checkpoints
from adm.data import data_config, open_source, to_model_range
from adm.models.encoder import Encoder
from adm.training.stages import WEIGHTS
from assay.errors import AssayWarning, UserError
from assay.workload import Batch, StageContext


class Extractor(Protocol):
    def __call__(self, images: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Tensor:
        """uint8 (N, H, W, C) → float32 (N, D)."""


class ClassifierFeatures:
    """What the sweep's own classifier sees before its logits, at t = 0, in fp32."""

    def __init__(self, ctx: StageContext) -> None:
        self._device = ctx.device
        classifier = checkpoints.load(ctx.inputs["classifier"].file(WEIGHTS)).build()
        assert isinstance(classifier, Encoder)
        self._classifier = classifier.to(ctx.device).eval()

    @torch.no_grad()
    def __call__(self, images: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Tensor:
        x = to_model_range(images, self._device)
        return self._classifier.features(x, torch.zeros(len(x), dtype=torch.long, device=self._device))


class Pixels:
    """The pixels themselves, in [-1, 1]."""

    def __init__(self, ctx: StageContext) -> None:
        pass

    def __call__(self, images: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Tensor:
        return to_model_range(images).flatten(1)


EXTRACTORS: dict[str, type[ClassifierFeatures] | type[Pixels]] = {"classifier": ClassifierFeatures, "pixels": Pixels}


class Features:
    """A step of a fan-out: adds "features" float32 (N, D) to rows that hold "image"."""

    def __init__(self, ctx: StageContext) -> None:
        self._extract: Extractor = EXTRACTORS[ctx.config["extractor"]](ctx)

    def __call__(self, batch: Batch) -> Batch:
        return {**batch, "features": self._extract(batch["image"]).float().cpu().numpy()}


class ReferenceImages:
    """A step of a fan-out: {"id"} → {"id", "label", "image"}, image number i of the data set.

    Where data.broken_images is skip, the row of a broken image holds the one that takes its place.
    """

    def __init__(self, ctx: StageContext) -> None:
        self._source = open_source(
            data_config(ctx.config["data"]), ctx.config["image_size"], ctx.config["channels"], threads=ctx.threads
        )
        if ctx.amount > len(self._source):
            raise UserError(
                f"evaluate.num_reference is {ctx.amount}, but the data has {len(self._source)} images; ask for fewer"
            )

    def __call__(self, batch: Batch) -> Batch:
        known = set(self._source.skipped)
        images, labels = self._source.read(batch["id"])
        if new := sorted(self._source.skipped - known):
            warnings.warn(
                f"{len(new)} of the images cannot be decoded and have the next one in their place: "
                f"{', '.join(new[:3])}{', …' if new[3:] else ''}",
                AssayWarning,
                stacklevel=2,
            )
        return {"id": batch["id"], "label": labels, "image": images}
