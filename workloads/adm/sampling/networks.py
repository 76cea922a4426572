"""The networks that a sampling stage uses: the diffusion model, and the classifier that guides it."""

from __future__ import annotations

from torch import Tensor

from adm import checkpoints
from adm.diffusion import classifier_gradient
from adm.diffusion.process import CondFn
from adm.training.stages import WEIGHTS, weights_file
from assay.workload import StageContext


class Networks:
    """The networks in a stage's inputs "model" and "classifier", on its device and in evaluation mode."""

    def __init__(self, ctx: StageContext, ema_rate: float | None, guidance_scale: float) -> None:
        model = checkpoints.load(ctx.inputs["model"].file(weights_file(ema_rate)))
        self.config = model.config
        self._network = model.build().to(ctx.device).eval()
        self.num_classes = model.config.num_classes
        """Number of classes to sample from, the classifier's if the model is unconditional; None: no labels."""
        self.cond_fn: CondFn | None = None
        if "classifier" in ctx.inputs:
            classifier = checkpoints.load(ctx.inputs["classifier"].file(WEIGHTS))
            self.num_classes = self.num_classes or classifier.config.out_channels
            self.cond_fn = classifier_gradient(classifier.build().to(ctx.device).eval(), guidance_scale)

    def model(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        """ε and v. An unconditional network does not receive the labels, which are for the classifier alone."""
        return self._network(x, t, y if self.config.num_classes else None)
