"""Mistakes in a config's diffusion processes, found before anything is planned. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from adm.config import Config, DiffusionConfig, SampleConfig
from adm.registries import LOSS_OPTIONS, LOSSES, MEANS, SAMPLERS, SCHEDULES, Role
from assay.errors import ConfigProblem


def problems(c: Config) -> Iterator[ConfigProblem]:
    """Every problem in how a diffusion model or an upsampler is trained to denoise, at its path."""
    if c.model.role is Role.CLASSIFIES:
        return
    yield from _loss_options("diffusion", c.diffusion)
    yield from _needed_signal("diffusion", c.diffusion)
    if c.upsampler is not None:
        yield from _loss_options("upsampler.diffusion", c.upsampler.diffusion)
        yield from _needed_signal("upsampler.diffusion", c.upsampler.diffusion)
    if c.model.role is Role.DRAWS and SCHEDULES[c.diffusion.schedule].is_zero_terminal:
        yield from _scaled_noise(c.sample, c.diffusion.schedule)


def _loss_options(path: str, process: DiffusionConfig) -> Iterator[ConfigProblem]:
    """Options that are set, but that the loss does not take."""
    for option in LOSS_OPTIONS:
        value = getattr(process, option)
        if option not in LOSSES[process.loss].options and value != type(process).model_fields[option].default:
            users = ", ".join(name for name, loss in LOSSES.items() if option in loss.options)
            yield ConfigProblem(
                f"{path}.{option}",
                f"{value:g} has no effect with {path}.loss {process.loss}: it is for {users}; leave it out",
                (f"{path}.loss",),
            )


def _needed_signal(path: str, process: DiffusionConfig) -> Iterator[ConfigProblem]:
    """A prediction that says nothing of x_0 at the last step of a zero terminal SNR, where √ᾱ = 0."""
    if SCHEDULES[process.schedule].is_zero_terminal and MEANS[process.mean].needs_signal:
        others = ", ".join(name for name, mean in MEANS.items() if not mean.needs_signal)
        yield ConfigProblem(
            f"{path}.mean",
            f"got {process.mean}, allowed: {others} with {path}.schedule {process.schedule}: its last step is pure "
            f"noise, from which x_0 cannot be derived, since {process.mean} is divided by √ᾱ = 0 for it",
            (f"{path}.schedule",),
        )


def _scaled_noise(sample: SampleConfig, schedule: str) -> Iterator[ConfigProblem]:
    """Changes of the predicted noise ε̂, which become infinite ones of x_0 where √ᾱ = 0."""
    why = f"changes the predicted noise, and x_0 by that divided by √ᾱ, which is 0 at the last step of {schedule}"
    sampler = SAMPLERS[sample.sampler]
    # A classifier guides a sampler through Σ g where there is a Σ, and else through the predicted noise.
    if sample.guidance_scale > 0 and sampler.is_guided and not sampler.uses_variance:
        others = ", ".join(name for name, entry in SAMPLERS.items() if entry.is_guided and entry.uses_variance)
        yield ConfigProblem(
            "sample.guidance_scale",
            f"{sample.guidance_scale:g} with sample.sampler {sample.sampler} {why}: use {others}, or another schedule",
            ("sample.sampler", "diffusion.schedule"),
        )
    if sample.temperature != 1 and sample.temperature_scales == "epsilon":
        yield ConfigProblem(
            "sample.temperature_scales",
            f"epsilon {why}: use noise, or another schedule",
            ("sample.temperature", "diffusion.schedule"),
        )
