"""Bodies of map stages: the images of the reference, and the extractors of this package."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from assay.errors import AssayWarning, UserError
from assay.workload import Batch, StageContext
from imaging.data import Images, images_of_rows, open_planned, to_model_range
from imaging.extractors import FEATURES, LOGITS, SPATIAL, inception_weights
from imaging.extractors.inception import InceptionV3
from imaging.metrics.feature_arrays import FeatureError


class Features(ABC):
    """The base class of extractors: adds columns of features to rows with the column "image".

    Raises FeatureError for NaN and infinity, for which no metric is defined.
    """

    def __init__(self, ctx: StageContext) -> None:
        """Extractors load their networks here."""
        self.device = ctx.device

    @abstractmethod
    def extract(self, images: Images) -> Mapping[str, Tensor]:
        """uint8 (N, H, W, C) → columns (N, D), FEATURES among them."""

    def __call__(self, batch: Batch) -> Batch:
        columns = {name: values.float().cpu().numpy() for name, values in self.extract(batch["image"]).items()}
        for name, values in columns.items():
            if (bad := ~np.isfinite(values).all(axis=1)).any():
                raise FeatureError(
                    f"image {batch['id'][bad][0]}: its {name} hold NaN or infinity. Look at the extractor's weights, "
                    "and at the precision it ran in"
                )
        return {**batch, **columns}


class Pixels(Features):
    """The pixels themselves, in [-1, 1]."""

    def extract(self, images: Images) -> Mapping[str, Tensor]:
        return {FEATURES: to_model_range(images).flatten(1)}


class Inception(Features):
    """FID's network: its pool (2048) as the features, spatial (2023) for sFID, logits (1008) for the Inception score.

    In the precision that the config says; see `InceptionV3` for what bf16 costs.
    """

    def __init__(self, ctx: StageContext) -> None:
        super().__init__(ctx)
        config = ctx.config["inception"]
        self._network = InceptionV3(
            inception_weights.planned(config), precision=config["precision"], any_weights=config["weights"] is not None
        ).to(ctx.device)

    def extract(self, images: Images) -> Mapping[str, Tensor]:
        return seen_by_inception(self._network, images)


def seen_by_inception(network: InceptionV3, images: Images) -> Mapping[str, Tensor]:
    """uint8 (N, H, W, 1 or 3) → FEATURES (N, 2048), SPATIAL (N, 2023) and LOGITS (N, 1008)."""
    seen = network(torch.tensor(as_rgb(images)).permute(0, 3, 1, 2))
    return {FEATURES: seen.pool, SPATIAL: seen.spatial, LOGITS: seen.logits}


def as_rgb(images: Images) -> Images:
    """uint8 (N, H, W, 1 or 3) to (N, H, W, 3)."""
    return images if images.shape[-1] == 3 else images.repeat(3, axis=-1)


class StoredImages:
    """Images of a data set: {"id"} → {"id", "label", "image"}, where row i is that of `images_of_rows`.

    With data.broken_images skip, the row of a broken image has the image that replaces it.
    """

    def __init__(self, ctx: StageContext) -> None:
        self._source = open_planned(
            ctx.config["data"], ctx.config["image_size"], ctx.config["channels"], threads=ctx.threads
        )
        order, there = ctx.config["order"], len(self._source)
        if ctx.amount > there:
            raise UserError(f"{ctx.amount} images are asked for, but the data has {there}: ask for at most {there}")
        self._images = images_of_rows(order, there)

    def __call__(self, batch: Batch) -> Batch:
        known = set(self._source.skipped)
        images, labels = self._source.read(self._images[batch["id"]])
        if new := sorted(self._source.skipped - known):
            warnings.warn(
                f"{len(new)} of the images cannot be decoded and have the next one in their place: "
                f"{', '.join(new[:3])}{', …' if new[3:] else ''}",
                AssayWarning,
                stacklevel=2,
            )
        return {"id": batch["id"], "label": labels, "image": images}
