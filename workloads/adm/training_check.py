"""Mistakes in how networks are trained to denoise, and averaged, found before anything is planned. Imports no torch."""

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
from adm.training.ema_profiles import profile_error
from assay.errors import ConfigProblem
from assay.registry import Registry

LARGEST_PROFILE_ERROR = 0.1
"""Relative error of a reconstructed average's profile from which on there is a warning."""


def problems(c: Config) -> Iterator[ConfigProblem]:
    """Every problem in how a diffusion model or an upsampler is trained, and in its averages, at its path."""
    yield from _averages(c)
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


def _averages(c: Config) -> Iterator[ConfigProblem]:
    """Averages of the weights that are read but not kept, or kept but not read."""
    length, is_kept = c.sample.ema_length, bool(c.train.ema_lengths)
    draws = c.model.role is Role.DRAWS
    if length is not None and not is_kept:
        message = f"{length:g} is reconstructed from snapshots of train.ema_lengths, of which there are none: set them"
        yield ConfigProblem("sample.ema_length", f"{message}, such as [0.05, 0.1]", ("train.ema_lengths",))
    if length is not None and c.train.checkpoint is not None:
        message = f"{length:g} needs snapshots, but train.checkpoint has a single set of weights: leave it out"
        yield ConfigProblem("sample.ema_length", message, ("train.checkpoint",))
    if length is not None and c.sample.ema_rate is not None:
        message = "has no effect with sample.ema_length, which names another average; leave one out"
        yield ConfigProblem("sample.ema_rate", message, ("sample.ema_length",))
    if is_kept and not draws:
        yield ConfigProblem("train.ema_lengths", f"nothing reads them for a model.kind {c.model.kind}; leave them out")
    elif is_kept and length is None:
        # At the option that is missing: the study's parameters may set it.
        message = "is null, so that nothing reads train.ema_lengths: set a length, or leave those out"
        yield ConfigProblem("sample.ema_length", message, ("train.ema_lengths",))
    for section, other in (("classifier", c.classifier), ("upsampler", c.upsampler)):
        if other is not None and other.train.ema_lengths:
            yield ConfigProblem(f"{section}.train.ema_lengths", "nothing reads them; leave them out")


def cautions(c: Config) -> Iterator[str]:
    """Warnings about an average that few snapshots cannot give."""
    if c.sample.ema_length is None or not c.train.ema_lengths:
        return
    error = profile_error(c.train.snapshots, c.train.ema_lengths, c.sample.ema_length)
    if error > LARGEST_PROFILE_ERROR:
        yield (
            f"sample.ema_length {c.sample.ema_length:g} is {error:.0%} off when it is reconstructed from "
            f"{len(c.train.snapshots)} snapshots of train.ema_lengths {', '.join(map(str, c.train.ema_lengths))}: take "
            "snapshots more often (train.snapshot_every), or lengths nearer to it"
        )


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
    steps = config.spaced_steps if isinstance(config, SampleConfig) else config.steps
    if (name := spacing_of(steps)) is not None and SPACINGS[name].is_fractional:
        yield ConfigProblem(f"{section}.steps", f"{steps} {why}")
