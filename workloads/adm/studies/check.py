"""Mistakes in the studies' config sections, and settings without effect, found before anything is planned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from adm import presets
from adm.config import Config
from adm.registries import PICTURES, SAMPLERS, Role, kinds
from adm.respacing import fractional_spacing
from adm.training.shares import fp16_on_cpu
from assay.errors import ConfigProblem, UserError, did_you_mean
from imaging.evaluation import facts, validation
from imaging.evaluation.graph import SHOWN_IMAGES


def problems(c: Config) -> Iterator[ConfigProblem]:
    """Every problem in the sections figures, inversion, likelihood, throughput and compute, at its path."""
    yield from _presets(c)
    yield from _without_effect(c)
    if c.measure == "inversion":
        yield from _inversion(c)
    if c.measure == "likelihood":
        yield from _likelihood(c)
    if c.measure == "compute" and c.model.role is Role.CLASSIFIES and c.compute.generator.preset is None:
        yield ConfigProblem("measure", "compute prices a generator, but this base is a classifier; use another base")
    if is_priced_with_quality(c):
        yield from _price_of_samples(c)
    if c.measure == "quality" and c.figures.draw:
        yield from _figures(c)


def timed_group(config: Mapping[str, Any], execution: Mapping[str, Any], workers: int, gpus: float) -> None:
    """Raise UserError if a group of this many workers with this many GPUs each cannot do the timing."""
    if config["train"]["precision"] == "fp16" and gpus == 0:
        raise fp16_on_cpu("train.precision")
    if workers != config["workers"]:
        raise UserError(
            f"throughput.workers is {config['workers']}, but this group of resources.train has {workers}; set both "
            "alike, since the communication of the group is timed too"
        )


def _presets(c: Config) -> Iterator[ConfigProblem]:
    named = {
        "throughput.preset": c.throughput.preset,
        "compute.generator.preset": c.compute.generator.preset,
        "compute.classifier.preset": c.compute.classifier.preset,
        "compute.upsampler.preset": c.compute.upsampler.preset,
    }
    for path, name in named.items():
        if name is not None and name not in presets.names():
            yield ConfigProblem(path, f"unknown preset {name!r}{did_you_mean(name, presets.names())}")


def _without_effect(c: Config) -> Iterator[ConfigProblem]:
    is_priced = c.measure == "compute" or is_priced_with_quality(c)
    is_timed = c.measure == "throughput" or (is_priced and c.compute.throughput == "measured")
    used = {
        "figures": c.measure == "quality",
        "inversion": c.measure == "inversion",
        "likelihood": c.measure == "likelihood",
        "throughput": is_timed,
        "compute": is_priced,
    }
    for section, is_used in used.items():
        values = getattr(c, section)
        changed = [name for name in type(values).model_fields if getattr(values, name) != getattr(type(values)(), name)]
        changed = [name for name in changed if (section, name) != ("compute", "evaluations")]
        if changed and not is_used:
            yield ConfigProblem(
                f"{section}.{changed[0]}", f"has no effect with measure {c.measure}; leave it out", ("measure",)
            )
    if c.compute.evaluations and (c.measure != "quality" or c.model.role is not Role.DRAWS or c.samples is not None):
        yield ConfigProblem(
            "compute.evaluations",
            "counts those of a model that draws the images, with measure quality; leave it out",
            ("measure", "model.kind", "samples"),
        )


def is_priced_with_quality(c: Config) -> bool:
    """Whether a study of quality reports costs, too, or for now them alone, with measure compute."""
    return c.compute.with_quality and c.model.role is Role.DRAWS and c.measure in ("quality", "compute")


def _price_of_samples(c: Config) -> Iterator[ConfigProblem]:
    """A cost that is not that of the model whose samples are evaluated."""
    if c.samples is not None and c.compute.rival is None and c.compute.generator.preset is None:
        yield ConfigProblem(
            "compute.with_quality",
            "the cost of this config's training is not that of samples, which it did not draw: set compute.rival or "
            "compute.generator.preset to what drew them, or compute.with_quality false",
            ("samples",),
        )
    if c.samples is None and c.compute.rival is not None:
        yield ConfigProblem(
            "compute.rival",
            f"the cost of {c.compute.rival} is not that of the model that is evaluated; leave it out, or set samples "
            "to images that the rival drew",
            ("compute.with_quality",),
        )


def _inversion(c: Config) -> Iterator[ConfigProblem]:
    if c.model.role is not Role.DRAWS:
        yield ConfigProblem(
            "measure",
            f"inversion encodes images for a {kinds(Role.DRAWS)}, but model.kind is {c.model.kind}",
            ("model.kind",),
        )
    if c.upsampler is not None:
        yield ConfigProblem(
            "measure", "inversion uses a single model, but this base has an upsampler; set it to null", ("upsampler",)
        )
    if SAMPLERS[c.sample.sampler].reverse is None or c.sample.eta != 0:
        reversible = " or ".join(name for name, sampler in SAMPLERS.items() if sampler.reverse is not None)
        yield ConfigProblem(
            "measure",
            f"inversion runs a sampler in reverse: set sample.sampler {reversible}, with sample.eta 0",
            ("sample.sampler", "sample.eta"),
        )


def _likelihood(c: Config) -> Iterator[ConfigProblem]:
    if c.model.role is not Role.DRAWS:
        message = f"likelihood bounds that of a {kinds(Role.DRAWS)}, but model.kind is {c.model.kind}"
        yield ConfigProblem("measure", message, ("model.kind",))
    if c.upsampler is not None:
        message = "likelihood uses a single model, but this base has an upsampler; set it to null"
        yield ConfigProblem("measure", message, ("upsampler",))
    if _is_fractional(c):
        message = f"{c.sample.spaced_steps} goes between the steps, but the likelihood is a sum over steps: use a count"
        yield ConfigProblem("sample.steps", message, ("measure",))
    available, requested = validation.countable(c.data.of_validation or c.data), c.likelihood.num_images
    if available is not None and requested is not None and requested > available:
        yield validation.more_than_all("likelihood.num_images", requested, available)


def _is_fractional(c: Config) -> bool:
    try:
        return fractional_spacing(c.diffusion.steps, c.sample.spaced_steps) is not None
    except ValueError:
        return False  # told elsewhere: no such spacing


def _figures(c: Config) -> Iterator[ConfigProblem]:
    if c.model.role is not Role.DRAWS:
        yield ConfigProblem(
            "figures.draw",
            f"shows samples, but this trial of model.kind {c.model.kind} has none; leave it out",
            ("model.kind",),
        )
        return
    pictures = [PICTURES[name] for name in c.figures.draw]
    if isinstance(c.sample.labels, str) and (
        per_class := [name for name in c.figures.draw if PICTURES[name].is_per_class]
    ):
        message = f"{per_class[0]} has a row per class that sample.labels lists, but that is {c.sample.labels}"
        yield ConfigProblem("figures.draw", f"{message}; list classes, such as [1, 279, 323]", ("sample.labels",))
        return
    num_classes = 1 if isinstance(c.sample.labels, str) else len(c.sample.labels)
    shown = max(picture.num_shown(c.figures.num_samples, num_classes) for picture in pictures)
    most = min(c.evaluate.num_samples, SHOWN_IMAGES)
    if shown > most:
        yield ConfigProblem(
            "figures.num_samples",
            f"{c.figures.num_samples} asks for {shown} samples, allowed here: at most {most}",
            ("evaluate.num_samples",),
        )
    yield from _figures_of_data(c)
    num_reference = c.figures.num_reference or c.evaluate.num_reference
    if c.figures.num_reference is not None and c.evaluate.reference is not None:
        yield ConfigProblem(
            "figures.num_reference", "has no effect with evaluate.reference; leave it out", ("evaluate.reference",)
        )
    if num_reference is None:  # all images, and precision and recall already need enough of them
        return
    if any(picture.searches_reference for picture in pictures) and max(2, c.figures.num_neighbours) > num_reference:
        yield ConfigProblem(
            "figures.num_neighbours",
            f"got {c.figures.num_neighbours}, but there are {num_reference} training images to choose from",
            ("evaluate.num_reference", "figures.num_reference"),
        )


def _figures_of_data(c: Config) -> Iterator[ConfigProblem]:
    """Pictures that need more real images than the data has, if it can be read on this machine."""
    pictures = [PICTURES[name] for name in c.figures.draw]
    if any(picture.shows_reference for picture in pictures) and _has_statistics_alone(c):
        yield ConfigProblem(
            "figures.draw",
            f"needs images to show, but evaluate.reference {c.evaluate.reference} has none (arr_0)",
            ("evaluate.reference",),
        )
    num_images = validation.countable(c.data)
    if num_images is None or c.evaluate.reference is not None:
        return
    requested = c.figures.num_reference if any(picture.searches_reference for picture in pictures) else None
    if requested is not None and requested > num_images:
        yield validation.more_than_all("figures.num_reference", requested, num_images)
    beside = [picture for picture in pictures if picture.shows_reference and not picture.searches_reference]
    shown = max((picture.num_shown(c.figures.num_samples) for picture in beside), default=0)
    if shown > num_images:
        yield ConfigProblem(
            "figures.num_samples",
            f"{c.figures.num_samples} asks for {shown} training images to show beside as many samples, but the data "
            f"has {num_images}",
        )


def _has_statistics_alone(c: Config) -> bool:
    try:
        return c.evaluate.reference is not None and facts.reference_images(c, {}) is None
    except UserError:  # reported at evaluate.reference
        return False
