"""Steps of a fan-out that a sampler could turn into: what an evaluation says of them."""

from __future__ import annotations

import numpy as np

from adm.data import images_of_rows
from adm.data.digits import digits
from assay.workload import Batch, StageContext


class Step:
    def __init__(self, ctx: StageContext) -> None:
        pass


class Collapsed(Step):
    """One image over and over."""

    def __call__(self, batch: Batch) -> Batch:
        image = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 1), dtype=np.uint8)
        return {**batch, "label": np.full(len(batch["id"]), -1), "image": image.repeat(len(batch["id"]), axis=0)}


class ZeroOrOne(Step):
    """Images in [0, 1] that were made uint8 too early."""

    def __call__(self, batch: Batch) -> Batch:
        images = np.stack([np.random.default_rng(i).integers(0, 2, (8, 8, 1), dtype=np.uint8) for i in batch["id"]])
        return {**batch, "label": np.full(len(images), -1), "image": images}


class NotANumber(Step):
    """A feature of image 7 is NaN."""

    def __call__(self, batch: Batch) -> Batch:
        features = batch["image"].reshape(len(batch["id"]), -1).astype(np.float32)
        features[batch["id"] == 7, 0] = np.nan
        return {**batch, "features": features}


class Copies(Step):
    """Training images, each once."""

    def __call__(self, batch: Batch) -> Batch:
        images, labels = digits().read(images_of_rows("shuffled", 1797)[batch["id"]])
        return {**batch, "label": labels, "image": images}
