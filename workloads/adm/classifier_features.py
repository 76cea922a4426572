"""The extractor "classifier": features from the classifier that the trial itself trained."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from adm import checkpoints
from adm.models.encoder import Encoder
from adm.training.stages import WEIGHTS
from assay.workload import StageContext
from imaging.data import Images, to_model_range
from imaging.extractors import FEATURES
from imaging.extractors.features import Features


class ClassifierFeatures(Features):
    """The input of the classifier's final projection, (N, D), at t = 0, in fp32."""

    def __init__(self, ctx: StageContext) -> None:
        super().__init__(ctx)
        classifier = checkpoints.load(ctx.inputs["classifier"].file(WEIGHTS)).build()
        assert isinstance(classifier, Encoder)
        self._classifier = classifier.to(ctx.device).eval()

    @torch.no_grad()
    def extract(self, images: Images) -> Mapping[str, Tensor]:
        x = to_model_range(images, self.device)
        return {FEATURES: self._classifier.features(x, torch.zeros(len(x), dtype=torch.long, device=self.device))}
