"""The networks that a sampling stage uses: the diffusion model, and what guides it."""

from __future__ import annotations

import torch
from torch import Tensor

from adm import checkpoints
from adm.config import DiffusionConfig, SampleConfig
from adm.diffusion import Diffusion
from adm.diffusion.guidance import Pair, no_gradient, received, rounded, with_guide, with_null_label, within
from adm.diffusion.process import CondFn, Model
from adm.models.trunk import Trunk
from adm.registries import GUIDANCES, Guide
from adm.training.stages import WEIGHTS, weights_file
from assay.workload import StageContext


class Networks:
    """The networks in a stage's inputs "model", "classifier" and "guide", on its device and in evaluation mode."""

    def __init__(self, ctx: StageContext, sample: SampleConfig) -> None:
        network = _load(ctx, "model", weights_file(sample.ema_rate))
        self.config = network.config
        self.num_classes = network.config.num_classes
        """Number of classes to sample from, the classifier's if the model is unconditional; None: no labels."""
        self.model: Model = _labelled(network)
        """ε and v, guided if a network guides away from it."""
        self.cond_fn: CondFn | None = None
        kind, interval = GUIDANCES[sample.guidance], sample.guidance_interval
        if sample.guided_by is Guide.CLASSIFIER and "classifier" in ctx.inputs:
            classifier = _load(ctx, "classifier")
            self.num_classes = self.num_classes or classifier.config.out_channels
            self.cond_fn = kind.load()(classifier, sample.guidance_scale)
            if interval is not None:
                self.cond_fn = within(rounded(interval), self.cond_fn, no_gradient)
        elif sample.guided_by in (Guide.UNLABELLED, Guide.WEAK):
            guided = kind.load()(self._pair(ctx, network, sample.guided_by), sample.guidance_scale)
            if interval is not None:
                process = Diffusion.from_config(DiffusionConfig(**ctx.config["diffusion"]))
                guided = within(received(process, interval), guided, self.model)
            self.model = guided

    def _pair(self, ctx: StageContext, network: Trunk, guided_by: Guide) -> Pair:
        if "guide" not in ctx.inputs:
            assert network.config.null_label is not None, "checked when the sweep was planned"
            return with_null_label(network, network.config.null_label)
        guide = _load(ctx, "guide")
        return with_guide(self.model, _labelled(guide) if guided_by is Guide.WEAK else _unlabelled(guide))


def _load(ctx: StageContext, name: str, file: str = WEIGHTS) -> Trunk:
    return checkpoints.load(ctx.inputs[name].file(file)).build().to(ctx.device).eval()


def _labelled(network: Trunk) -> Model:
    """An unconditional network does not receive the labels, which are for the classifier alone."""
    return lambda x, t, y=None: network(x, t, y if network.config.num_classes else None)


def _unlabelled(network: Trunk) -> Model:
    """A network that never receives labels, but the null class if it has one."""
    null = network.config.null_label

    def model(x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        return network(x, t, None if null is None else torch.full((len(x),), null, device=x.device))

    return model
