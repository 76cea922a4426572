"""What drawing images costs, in operations. No torch here."""

from __future__ import annotations

from adm.compute.network import network_cost
from adm.config import Config
from adm.respacing import space_timesteps


def num_sampling_steps(config: Config) -> int:
    """Network evaluations an image."""
    return len(space_timesteps(config.diffusion.steps, config.sample.steps))


def sampling_flops(config: Config) -> int:
    """Operations of drawing one image.

    A guided step adds the classifier's forward pass and the gradient at x_t, which costs as much again: the gradient of
    the weights, the other half of a backward pass, is not taken. An upsampler's steps come on top.
    """
    step = network_cost(config.model).flops
    if config.sample.guidance_scale > 0 and config.classifier is not None:
        step += 2 * network_cost(config.classifier.model).flops
    flops = num_sampling_steps(config) * step
    if (up := config.upsampler) is not None:
        flops += len(space_timesteps(up.diffusion.steps, up.steps)) * network_cost(up.model).flops
    return flops
