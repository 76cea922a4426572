"""The cost of sampling images, in floating-point operations. Imports no torch."""

from __future__ import annotations

from adm.compute.network import network_cost
from adm.config import Config, DiffusionConfig, Steps
from adm.registries import SAMPLERS
from adm.respacing import count_steps


def num_evaluations(sampler: str, process: DiffusionConfig, steps: Steps) -> int:
    """Network evaluations per image."""
    return SAMPLERS[sampler].evaluations(count_steps(process.steps, steps))


def sampling_flops(config: Config) -> int:
    """Floating-point operations of sampling one image, including an upsampler's steps.

    A guided evaluation adds the classifier's forward pass and its gradient at x_t, which costs as much again: the other
    half of a backward pass, the gradient of the weights, is not computed.
    """
    evaluation = network_cost(config.model).flops
    if config.sample.guidance_scale > 0 and config.classifier is not None:
        evaluation += 2 * network_cost(config.classifier.model).flops
    flops = num_evaluations(config.sample.sampler, config.diffusion, config.sample.steps) * evaluation
    if (up := config.upsampler) is not None:
        flops += num_evaluations(up.sampler, up.diffusion, up.steps) * network_cost(up.model).flops
    return flops
