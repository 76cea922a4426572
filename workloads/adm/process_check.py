"""Mistakes in a config's diffusion processes, found before anything is planned. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from adm.config import Config, DiffusionConfig, SampleConfig, TrainConfig, UpsamplerConfig
from adm.registries import (
    LOSS_OPTIONS,
    LOSSES,
    MEAN_OPTIONS,
    MEANS,
    SAMPLERS,
    SCHEDULES,
    SPACINGS,
    TIMESTEP_SAMPLERS,
    VARIANCES,
    Guide,
    Role,
    spacing_of,
)
from assay.errors import ConfigProblem
from assay.registry import Registry


def problems(c: Config) -> Iterator[ConfigProblem]:
    """Every problem in how a diffusion model or an upsampler is trained to denoise, at its path."""
    if c.model.role is Role.CLASSIFIES:
        return
    yield from _trained("", c.diffusion, c.train)
    if c.upsampler is not None:
        yield from _trained("upsampler.", c.upsampler.diffusion, c.upsampler.train)
    if c.model.role is Role.DRAWS and SCHEDULES[c.diffusion.schedule].is_zero_terminal:
        yield from _scaled_noise(c.sample, c.diffusion.schedule)
    if c.model.role is Role.DRAWS and c.measure in ("quality", "inversion"):
        yield from _measured_noise("sample", c.sample, c.diffusion)
        if c.upsampler is not None:
            yield from _measured_noise("upsampler", c.upsampler, c.upsampler.diffusion)


def _trained(section: str, process: DiffusionConfig, train: TrainConfig) -> Iterator[ConfigProblem]:
    """Problems of a process and its training; `section` is "" or "upsampler."."""
    path = f"{section}diffusion"
    yield from _options(path, process, "loss", LOSSES, LOSS_OPTIONS)
    yield from _options(path, process, "mean", MEANS, MEAN_OPTIONS)
    yield from _needed_signal(path, process)
    if train.checkpoint is None and TIMESTEP_SAMPLERS[train.timestep_sampler].is_continuous:
        yield from _between_steps(f"{section}train.timestep_sampler", train.timestep_sampler, path, process)


def _options(
    path: str, process: DiffusionConfig, kind: str, registry: Registry[Any], options: Sequence[str]
) -> Iterator[ConfigProblem]:
    """Options that are set, but that the process's loss or mean does not take."""
    for option in options:
        value, name = getattr(process, option), getattr(process, kind)
        if option not in registry[name].options and value != type(process).model_fields[option].default:
            users = ", ".join(other for other, entry in registry.items() if option in entry.options)
            yield ConfigProblem(
                f"{path}.{option}",
                f"{value:g} has no effect with {path}.{kind} {name}: it is for {users}; leave it out",
                (f"{path}.{kind}",),
            )


def _between_steps(at: str, sampler: str, path: str, process: DiffusionConfig) -> Iterator[ConfigProblem]:
    """Timesteps between the steps, where a schedule or a loss has steps alone."""
    if SCHEDULES[process.schedule].sigma is None:
        continuous = ", ".join(name for name, schedule in SCHEDULES.items() if schedule.sigma is not None)
        yield ConfigProblem(
            at,
            f"{sampler} draws timesteps between the steps, where {path}.schedule {process.schedule} has no noise "
            f"level: use {path}.schedule {continuous}, or another timestep sampler",
            (f"{path}.schedule",),
        )
    if VARIANCES[process.variance].is_learned or LOSSES[process.loss].is_bound:
        fixed = ", ".join(name for name, variance in VARIANCES.items() if not variance.is_learned)
        yield ConfigProblem(
            at,
            f"{sampler} draws timesteps between the steps, for which there is no variational bound: use "
            f"{path}.variance {fixed}, and no loss of the bound ({path}.loss {process.loss})",
            (f"{path}.variance", f"{path}.loss"),
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
    if sample.guided_by is Guide.CLASSIFIER and sampler.is_guided and not sampler.uses_variance:
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


def _measured_noise(
    section: str, config: SampleConfig | UpsamplerConfig, process: DiffusionConfig
) -> Iterator[ConfigProblem]:
    """Samplers and spacings that go by the ratio of noise to signal, which is infinite where √ᾱ = 0."""
    if not SCHEDULES[process.schedule].is_zero_terminal:
        return
    why = f"goes by σ/√ᾱ, which is infinite at the last step of {process.schedule}: use another, or another schedule"
    if SAMPLERS[config.sampler].needs_signal:
        yield ConfigProblem(f"{section}.sampler", f"{config.sampler} {why}")
    if (name := spacing_of(config.steps)) is not None and SPACINGS[name].is_fractional:
        yield ConfigProblem(f"{section}.steps", f"{config.steps} {why}")
