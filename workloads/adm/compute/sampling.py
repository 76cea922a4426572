"""The cost of sampling images, in floating-point operations. Imports no torch."""

from __future__ import annotations

from adm.compute.network import network_cost
from adm.config import Config, DiffusionConfig, ModelConfig, Steps
from adm.registries import SAMPLERS, Guide
from adm.respacing import count_steps
from adm.sampling.guides import guided_timesteps, visited


def num_evaluations(sampler: str, process: DiffusionConfig, steps: Steps) -> int:
    """Network evaluations per image."""
    return SAMPLERS[sampler].evaluations(count_steps(process.steps, steps))


def num_guided_evaluations(config: Config) -> int:
    """Evaluations of what guides an image: as often as the network's, at the timesteps within the interval."""
    sampler, sample = SAMPLERS[config.sample.sampler], config.sample
    if sample.guided_by is None:
        return 0
    guided = guided_timesteps(config.diffusion, sample)
    is_last_guided = visited(config.diffusion, sample.steps)[0] in guided
    return sampler.evaluations(len(guided)) if is_last_guided else sampler.evaluations_per_step * len(guided)


def sampling_flops(config: Config, guide: ModelConfig | None = None) -> int:
    """Floating-point operations of sampling one image, including an upsampler's steps. `guide` is the network that
    the model is guided away from, if that is another one.

    A guided evaluation adds one of the guide; or the classifier's forward pass and its gradient at x_t, which costs as
    much again: the other half of a backward pass, the gradient of the weights, is not computed.
    """
    flops = num_evaluations(config.sample.sampler, config.diffusion, config.sample.steps)
    flops *= network_cost(config.model).flops
    if (classifier := config.guiding_classifier) is not None:
        flops += num_guided_evaluations(config) * 2 * network_cost(classifier.model).flops
    elif config.sample.guided_by in (Guide.UNLABELLED, Guide.WEAK):
        flops += num_guided_evaluations(config) * network_cost(guide or config.model).flops
    if (up := config.upsampler) is not None:
        flops += num_evaluations(up.sampler, up.diffusion, up.steps) * network_cost(up.model).flops
    return flops
