"""What drawing images costs, in operations. No torch here."""

from __future__ import annotations

from adm.compute.network import network_cost
from adm.config import Config, SampleConfig


def num_sampling_steps(sample: SampleConfig) -> int:
    """Network evaluations an image: a count, the sum of counts a section, or the N of "ddimN".

    A text that is neither counts as 0; `adm.diffusion.space_timesteps` says what is wrong with it.
    """
    steps = sample.steps
    if isinstance(steps, int):
        return steps
    if isinstance(steps, str):
        parts = steps.removeprefix("ddim").split(",")
        return sum(int(part) for part in parts if part.strip().isdecimal())
    return sum(steps)


def sampling_flops(config: Config) -> int:
    """Operations of drawing one image.

    A guided step adds the classifier's forward pass and the gradient at x_t, which costs as much again: the gradient of
    the weights, the other half of a backward pass, is not taken.
    """
    step = network_cost(config.model).flops
    if config.sample.guidance_scale > 0 and config.classifier is not None:
        step += 2 * network_cost(config.classifier.model).flops
    return num_sampling_steps(config.sample) * step
