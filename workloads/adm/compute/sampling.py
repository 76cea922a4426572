"""The cost of sampling images, in operations. No torch here."""

from __future__ import annotations

from adm.compute.network import network_cost
from adm.config import Config, DiffusionConfig, Steps
from adm.registries import SAMPLERS
from adm.respacing import space_timesteps


def num_evaluations(sampler: str, process: DiffusionConfig, steps: Steps) -> int:
    """Network evaluations per image."""
    return SAMPLERS[sampler].evaluations(len(space_timesteps(process.steps, steps)))


def sampling_flops(config: Config) -> int:
    """Operations of sampling one image.

    A guided evaluation adds the classifier's forward pass and the gradient at x_t, which costs the same again: the
    gradient of the weights, the other half of a backward pass, is not computed. An upsampler's steps are added.
    """
    evaluation = network_cost(config.model).flops
    if config.sample.guidance_scale > 0 and config.classifier is not None:
        evaluation += 2 * network_cost(config.classifier.model).flops
    flops = num_evaluations(config.sample.sampler, config.diffusion, config.sample.steps) * evaluation
    if (up := config.upsampler) is not None:
        flops += num_evaluations(up.sampler, up.diffusion, up.steps) * network_cost(up.model).flops
    return flops
