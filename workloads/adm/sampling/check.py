"""Mistakes and doubtful settings in how a config samples, found before anything is planned. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Iterator

from adm.config import Config, DiffusionConfig, SampleConfig, Steps, UpsamplerConfig
from adm.registries import NETWORKS, SAMPLER_OPTIONS, SAMPLERS, SCHEDULES, Guide, Role, kinds
from adm.respacing import count_steps, fractional_spacing, section_counts, space_timesteps
from adm.sampling import guides
from assay.errors import ConfigProblem
from imaging.extractors import EXTRACTORS

NOISY_END = 0.8
"""Share of T above which an image looks like pure noise: ᾱ is 0.002 there in a linear schedule."""
MOST_SHOWN = 3
"""Sections and timesteps that a message lists at either end."""


def problems(c: Config) -> Iterator[ConfigProblem]:
    """Every problem in how images are noised, sampled and kept, and in an upsampler, at its path."""
    yield from _too_short("diffusion", c.diffusion)
    if c.upsampler is not None:
        yield from _too_short("upsampler.diffusion", c.upsampler.diffusion)
    samplers = {"sample.steps": c.sample.sampler} | (
        {} if c.upsampler is None else {"upsampler.steps": c.upsampler.sampler}
    )
    for path, (process, steps) in _spacings(c).items():
        least = SAMPLERS[samplers[path]].least_steps
        if count_steps(process.steps, steps) < least:
            message = f"got {_spelled(steps)}, allowed: {least} steps or more with {samplers[path]}"
            yield ConfigProblem(path, message, (f"{path.removesuffix('.steps')}.sampler",))
        yield from _fractional(c, path, samplers[path])
        if _last_step(process, steps) == 0 < process.steps - 1:
            yield ConfigProblem(
                path,
                f"{_taken(process, steps)}, where hardly any noise should be left: that gives no image"
                f"{_meant(steps) or '; take more steps'}",
            )
    rate, first = c.sample.ema_rate, c.train.ema_rates[0]
    if c.train.checkpoint is not None and rate not in (None, first):
        yield ConfigProblem(
            "sample.ema_rate",
            f"{rate} names an average from training, but train.checkpoint {c.train.checkpoint!r} has a single set of "
            "weights: leave it out",
            ("train.checkpoint",),
        )
    yield from _sampler(c)
    yield from _labels(c)
    yield from guides.problems(c)
    if c.sample.keep_images == "png" and c.model.in_channels not in (1, 3):
        yield ConfigProblem(
            "sample.keep_images",
            f"png is for grey images (1 channel) or RGB (3), but model.in_channels is {c.model.in_channels}: use npz",
            ("model.in_channels",),
        )
    if c.upsampler is not None:
        yield from _upsampler(c, c.upsampler)


def _fractional(c: Config, path: str, sampler: str) -> Iterator[ConfigProblem]:
    """Networks that take whole timesteps alone, where a spacing or a sampler goes between them."""
    section, (process, steps) = path.removesuffix(".steps"), _spacings(c)[path]
    if fractional_spacing(process.steps, steps) is not None:
        wants, other = path, f"{path} {_spelled(steps)}"
    elif SAMPLERS[sampler].takes_fractional_timesteps:
        wants, other = f"{section}.sampler", f"{section}.sampler {sampler}"
    else:
        return
    if section == "sample":
        networks = {"model.kind": c.model.kind}
        if c.guiding_classifier is not None:
            networks["classifier.model.kind"] = c.guiding_classifier.model.kind
    else:
        assert c.upsampler is not None
        networks = {"upsampler.model.kind": c.upsampler.model.kind}
    for kind_path, kind in networks.items():
        if not NETWORKS[kind].takes_fractional_timesteps:
            message = f"{other} goes between whole timesteps, and {kind_path} {kind} takes no others: use another"
            yield ConfigProblem(wants, message, (kind_path,))


def _labels(c: Config) -> Iterator[ConfigProblem]:
    """Classes to sample that there are not."""
    classifier = None if c.guiding_classifier is None else c.guiding_classifier.model.num_labels
    classes = c.model.num_classes or classifier
    if isinstance(c.sample.labels, str) or c.model.role is not Role.DRAWS:
        return
    if classes is None:
        message = "lists classes, but the model has none, and no classifier guides it; leave it out"
        yield ConfigProblem("sample.labels", message, ("model.num_classes", "sample.guidance_scale"))
    elif unknown := [label for label in c.sample.labels if label >= classes]:
        message = f"got {', '.join(map(str, unknown))}, allowed: classes from 0 to {classes - 1}"
        yield ConfigProblem("sample.labels", message, ("model.num_classes",))


def cautions(c: Config) -> Iterator[str]:
    """Warnings about settings that are valid, but probably not intended."""
    for path, (process, steps) in _spacings(c).items():
        last, counts = _last_step(process, steps), section_counts(process.steps, steps)
        last_section = process.steps - process.steps // len(counts) if counts else 0
        if last < max(NOISY_END * (process.steps - 1), last_section):
            yield (
                f"{path} {_taken(process, steps)}, and none at the noisy end, where the image is determined: sampling "
                f"starts from pure noise at step {last}, where the model expects a partly visible image"
                f"{_meant(steps)}"
            )
    yield from guides.cautions(c)


def _sampler(c: Config) -> Iterator[ConfigProblem]:
    """Settings that the base model's sampler does not support, or that have no effect on it."""
    name, sampler = c.sample.sampler, SAMPLERS[c.sample.sampler]
    yield from _untaken_options("sample", c.sample)
    if c.sample.guided_by is Guide.CLASSIFIER and not sampler.is_guided:
        guided = ", ".join(other for other, entry in SAMPLERS.items() if entry.is_guided)
        yield ConfigProblem(
            "sample.guidance_scale",
            f"{c.sample.guidance_scale} is for samplers that a classifier can guide ({guided}), but sample.sampler is "
            f"{name}: change one of the two",
            ("sample.sampler",),
        )
    is_scaled = c.sample.temperature != 1 and c.sample.temperature_scales == "noise"
    if is_scaled and "temperature" in sampler.options and sampler.is_deterministic(c.sample.eta):
        eta = f" with sample.eta {c.sample.eta:g}" if "eta" in sampler.options else ""
        yield ConfigProblem(
            "sample.temperature",
            f"{c.sample.temperature} has no effect: it scales the noise of each step, and sample.sampler {name}{eta} "
            "adds none; leave it out, or set sample.temperature_scales epsilon",
            ("sample.sampler", "sample.eta", "sample.temperature_scales"),
        )


def _untaken_options(section: str, config: SampleConfig | UpsamplerConfig) -> Iterator[ConfigProblem]:
    """Options that are set, but that the section's sampler does not take."""
    for option in SAMPLER_OPTIONS:
        field = type(config).model_fields.get(option)
        if field is None or option in SAMPLERS[config.sampler].options:
            continue
        value = getattr(config, option)
        if value != field.default:
            users = ", ".join(name for name, sampler in SAMPLERS.items() if option in sampler.options)
            yield ConfigProblem(
                f"{section}.{option}",
                f"{value} has no effect with {section}.sampler {config.sampler}: it is for {users or 'no sampler'}; "
                "leave it out",
                (f"{section}.sampler",),
            )


def _too_short(path: str, process: DiffusionConfig) -> Iterator[ConfigProblem]:
    least = SCHEDULES[process.schedule].least_steps
    if process.steps < least:
        yield ConfigProblem(
            f"{path}.steps",
            f"got {process.steps}, allowed: {least} or more with {path}.schedule {process.schedule}, whose last β "
            "would be 1 or more. To sample in fewer steps than the model is trained with, set sample.steps",
            (f"{path}.schedule",),
        )


def _spacings(c: Config) -> dict[str, tuple[DiffusionConfig, Steps]]:
    """Path → the process and the sampling steps, if this config samples; steps that do not fit are left out."""
    if c.model.role is not Role.DRAWS or c.measure not in ("quality", "inversion", "likelihood"):
        return {}
    spacings = {"sample.steps": (c.diffusion, c.sample.spaced_steps)}
    if c.upsampler is not None:
        spacings["upsampler.steps"] = (c.upsampler.diffusion, c.upsampler.steps)
    return {path: spacing for path, spacing in spacings.items() if _fits(*spacing)}


def _fits(process: DiffusionConfig, steps: Steps) -> bool:
    try:
        return bool(count_steps(process.steps, steps))
    except ValueError:
        return False


def _last_step(process: DiffusionConfig, steps: Steps) -> int:
    """The noisiest step that is visited, at which sampling starts."""
    if fractional_spacing(process.steps, steps) is not None:
        return process.steps - 1  # both ends are kept
    return space_timesteps(process.steps, steps)[-1]


def _taken(process: DiffusionConfig, steps: Steps) -> str:
    """How the steps are read, and which steps of the process they visit, for a message."""
    counts, kept = section_counts(process.steps, steps), space_timesteps(process.steps, steps)
    read = f" is read as the sections {_listed(counts, ' and ')}, and" if counts and len(counts) > 1 else ""
    return f"{_spelled(steps)}{read} visits only {_listed(kept, ', ')} of the steps 0 to {process.steps - 1}"


def _spelled(steps: Steps) -> str:
    return repr(steps) if isinstance(steps, str) else str(list(steps)) if isinstance(steps, tuple) else str(steps)


def _listed(numbers: list[int], last: str) -> str:
    if len(numbers) > 2 * MOST_SHOWN:
        return f"{', '.join(map(str, numbers[:MOST_SHOWN]))}, … {numbers[-1]}"
    return last.join([", ".join(map(str, numbers[:-1])), str(numbers[-1])] if numbers[:-1] else map(str, numbers))


def _meant(steps: Steps) -> str:
    """Advice for a count that is written with thousands separators."""
    if isinstance(steps, str) and re.fullmatch(r"\d{1,3}(,\d{3})+", steps.strip()):
        count = steps.strip().replace(",", "")
        return f"; for {count} steps write {count}, without a comma"
    return ""


def _upsampler(c: Config, up: UpsamplerConfig) -> Iterator[ConfigProblem]:
    if c.model.role is not Role.DRAWS:
        yield ConfigProblem(
            "upsampler",
            f"upsamples images of a {kinds(Role.DRAWS)}, but model.kind is {c.model.kind}; leave it out",
            ("model.kind",),
        )
        return
    if up.model.role is not Role.ENLARGES:
        yield ConfigProblem("upsampler.model.kind", f"got {up.model.kind}, allowed: {kinds(Role.ENLARGES)}")
        return
    if up.model.low_res_size != c.model.image_size:
        yield ConfigProblem(
            "upsampler.model.low_res_size",
            f"got {up.model.low_res_size}, allowed: {c.model.image_size}, the model.image_size that it upsamples",
            ("model.image_size",),
        )
    if up.model.in_channels != c.model.in_channels:
        yield ConfigProblem(
            "upsampler.model.in_channels",
            f"got {up.model.in_channels}, allowed: {c.model.in_channels}, as in model.in_channels",
            ("model.in_channels",),
        )
    expected = up.model.in_channels * up.diffusion.outputs_per_channel
    if up.model.out_channels != expected:
        yield ConfigProblem(
            "upsampler.model.out_channels",
            f"got {up.model.out_channels}, but upsampler.diffusion.variance {up.diffusion.variance} of "
            f"{up.model.in_channels} image channels needs {expected}",
            ("upsampler.diffusion.variance", "upsampler.model.in_channels"),
        )
    if up.model.num_classes not in (None, classes := _classes(c)):
        have = "have no known class: use null" if classes is None else f"have {classes} classes"
        yield ConfigProblem(
            "upsampler.model.num_classes",
            f"got {up.model.num_classes}, but the images that it upsamples {have}",
            ("model.num_classes", "classifier.model.out_channels"),
        )
    yield from _untaken_options("upsampler", up)
    try:
        count_steps(up.diffusion.steps, up.steps)
    except ValueError as error:
        yield ConfigProblem(
            "upsampler.steps", f"does not fit upsampler.diffusion.steps: {error}", ("upsampler.diffusion.steps",)
        )
    for extractor in (name for name in c.evaluate.asked if EXTRACTORS[name].network is not None):
        yield ConfigProblem(
            f"evaluate.{c.evaluate.asked_at}",
            f"{extractor} takes images of {c.model.image_size}×{c.model.image_size} pixels, but the upsampler's are "
            f"{c.image_size}×{c.image_size}: use another extractor",
            ("upsampler",),
        )


def _classes(c: Config) -> int | None:
    """Number of classes of the base model's images: its own, or those of the classifier that guides it."""
    if c.model.num_classes is None and c.guiding_classifier is not None:
        return c.guiding_classifier.model.out_channels
    return c.model.num_classes
