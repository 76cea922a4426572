"""What guides images besides a classifier: which network, at which timesteps, and mistakes in it. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from adm.config import Config, DiffusionConfig, ModelConfig, SampleConfig, Steps
from adm.registries import GUIDANCES, Guide, Role
from adm.respacing import count_steps, fractional_spacing, space_timesteps
from assay.errors import ConfigProblem, ReferenceProblem
from assay.workload import Stage

SHARED = ("schedule", "steps", "mean", "sigma_data")
"""Options of the process that a model and its guide have alike, so that their outputs can be combined."""


def earlier_iterations(guide: str | None) -> int | None:
    """100 for "@100", the model's own training after 100 iterations; None for another training."""
    match = re.fullmatch(r"@(\d+)", guide or "")
    return int(match[1]) if match else None


def visited(process: DiffusionConfig, steps: Steps) -> list[int]:
    """The timesteps that a run visits, ascending. A fractional spacing visits both ends; in between, as many evenly
    spaced ones stand for its own, which depend on the schedule."""
    is_fractional = fractional_spacing(process.steps, steps) is not None
    return space_timesteps(process.steps, count_steps(process.steps, steps) if is_fractional else steps)


def guided_timesteps(process: DiffusionConfig, sample: SampleConfig) -> list[int]:
    """The timesteps that are visited and lie within the interval."""
    least, most = sample.guidance_interval or (0, process.steps - 1)
    return [step for step in visited(process, sample.steps) if least <= step <= most]


def model_of(c: Config, guide: Stage | None) -> ModelConfig | None:
    """The network of a guide; None if it is the model itself."""
    if guide is None:
        return None
    return ModelConfig(**guide.config["model"]) if "model" in guide.config else c.model


def check_found(c: Config, guide: Stage) -> None:
    """Raise ReferenceProblem unless the training that sample.guide names can guide the config's model."""
    if "model" not in guide.config:  # it stands for a training that is not looked up now
        return
    theirs, ours = ModelConfig(**guide.config["model"]), c.model
    process = DiffusionConfig(**guide.config["diffusion"])
    differing = [
        f"model.{name} {getattr(theirs, name)} (here {getattr(ours, name)})"
        for name in ("image_size", "in_channels")
        if getattr(theirs, name) != getattr(ours, name)
    ]
    differing += [
        f"diffusion.{name} {getattr(process, name)} (here {getattr(c.diffusion, name)})"
        for name in SHARED
        if getattr(process, name) != getattr(c.diffusion, name)
    ]
    if c.sample.guided_by is Guide.WEAK and theirs.num_classes != ours.num_classes:
        differing.append(f"model.num_classes {theirs.num_classes} (here {ours.num_classes})")
    if differing:
        raise ReferenceProblem(
            f"sample.guide: {c.sample.guide} cannot guide this model: it has {', '.join(differing)}; allowed: the same"
        )
    if c.sample.guided_by is Guide.UNLABELLED and theirs.num_classes is not None and not theirs.null_class:
        raise ReferenceProblem(
            f"sample.guide: {c.sample.guide} is conditional on {theirs.num_classes} classes; allowed with "
            f"sample.guidance {c.sample.guidance}: an unconditional model, or one trained with train.label_dropout"
        )


def problems(c: Config) -> Iterator[ConfigProblem]:
    """Every problem in how images are guided, and in label dropout, at its path."""
    yield from _label_dropout(c)
    if c.model.role is not Role.DRAWS:
        return
    yield from _network(c)
    yield from _named(c)
    yield from _interval(c)
    if c.sample.guidance_at != _default("guidance_at") and GUIDANCES[c.sample.guidance].guide is not Guide.CLASSIFIER:
        yield ConfigProblem(
            "sample.guidance_at",
            f"is where a classifier's gradient is taken; it has no effect with sample.guidance {c.sample.guidance}: "
            "leave it out",
            ("sample.guidance",),
        )
    is_plain = c.sample.guidance == _default("guidance") and c.sample.guidance_interval is None
    if c.measure == "inversion" and c.sample.guided_by is not None and not is_plain:
        name = "guidance" if c.sample.guidance_interval is None else "guidance_interval"
        yield ConfigProblem(
            f"sample.{name}", f"inversion decodes with sample.guidance {_default('guidance')} alone; leave it out"
        )


def cautions(c: Config) -> Iterator[str]:
    """Warnings about guidance that is valid, but probably not intended."""
    guided_by, scale = c.sample.guided_by, c.sample.guidance_scale
    if c.model.role is Role.DRAWS and guided_by in (Guide.UNLABELLED, Guide.WEAK) and scale < 1:
        yield (
            f"sample.guidance_scale {scale:g} draws images nearer to {guided_by.value} than to the model, which is at "
            f"1: sample.guidance {c.sample.guidance} guides at scales above 1"
        )
    earlier, keep_every = earlier_iterations(c.sample.guide), c.train.keep_every
    if earlier is not None and guided_by is not None and (keep_every is None or earlier % keep_every):
        yield (
            f"sample.guide {c.sample.guide} is trained again if the whole training is done before it: set "
            f"train.keep_every {earlier}, which keeps that step's checkpoint"
        )


def _label_dropout(c: Config) -> Iterator[ConfigProblem]:
    others = {
        "classifier.train": None if c.classifier is None else c.classifier.train,
        "upsampler.train": None if c.upsampler is None else c.upsampler.train,
    }
    for section, train in others.items():
        if train is not None and train.label_dropout:
            yield ConfigProblem(
                f"{section}.label_dropout", "is for the model that draws; leave it out here, or set train.label_dropout"
            )
    for section, model in {
        "classifier.model": None if c.classifier is None else c.classifier.model,
        "upsampler.model": None if c.upsampler is None else c.upsampler.model,
    }.items():
        if model is not None and model.null_class:
            yield ConfigProblem(f"{section}.null_class", "is for the model that draws; leave it out here")
    if c.train.label_dropout and (c.model.num_classes is None or c.model.role is not Role.DRAWS):
        yield ConfigProblem(
            "train.label_dropout",
            f"got {c.train.label_dropout:g}, but this model is shown no labels that could be left out: set it to 0, or "
            "model.num_classes to the number of classes",
            ("model.num_classes", "model.kind"),
        )
    is_trained = c.train.checkpoint is None and c.train.init is None
    if c.model.null_class and is_trained and not c.train.label_dropout:
        yield ConfigProblem(
            "model.null_class",
            "is never trained: set train.label_dropout, such as 0.1, instead",
            ("train.label_dropout",),
        )


def _network(c: Config) -> Iterator[ConfigProblem]:
    """A guide that is missing, or that does not go with the model."""
    sample, is_named = c.sample, c.sample.guide is not None or c.sample.guide_checkpoint is not None
    if sample.guided_by is Guide.UNLABELLED and c.model.num_classes is None:
        yield ConfigProblem(
            "sample.guidance",
            f"{sample.guidance} guides a class-conditional model away from one without labels, but model.num_classes "
            "is null",
            ("model.num_classes",),
        )
    elif sample.guided_by is Guide.UNLABELLED and not is_named and not has_null_class(c):
        yield ConfigProblem(
            "sample.guidance",
            f"{sample.guidance} needs a model without labels: set train.label_dropout, such as 0.1, or name an "
            "unconditional model in sample.guide or sample.guide_checkpoint",
            ("train.label_dropout", "model.null_class", "sample.guide"),
        )
    elif sample.guided_by is Guide.WEAK and not is_named:
        yield ConfigProblem(
            "sample.guidance",
            f"{sample.guidance} needs a weaker model: set sample.guide to another training, or to an earlier step of "
            f'this one, such as "@{max(1, c.train.iterations // 4)}", or set sample.guide_checkpoint',
            ("sample.guide",),
        )


def _named(c: Config) -> Iterator[ConfigProblem]:
    """A guide that is named, but unused, or named twice, or no earlier step."""
    sample, kind = c.sample, GUIDANCES[c.sample.guidance]
    for name in ("guide", "guide_checkpoint"):
        if getattr(sample, name) is not None and kind.guide is Guide.CLASSIFIER:
            yield ConfigProblem(
                f"sample.{name}",
                f"has no effect with sample.guidance {sample.guidance}, which guides by the config's classifier: leave "
                "it out",
                ("sample.guidance",),
            )
    if sample.guide is not None and sample.guide_checkpoint is not None:
        yield ConfigProblem(
            "sample.guide", "and sample.guide_checkpoint both name a guide: leave out one", ("sample.guide_checkpoint",)
        )
    if (iterations := earlier_iterations(sample.guide)) is None:
        return
    if c.train.checkpoint is not None:
        yield ConfigProblem(
            "sample.guide",
            f"{sample.guide} is an earlier step of a training, but train.checkpoint replaces that: name another "
            "training, or a file in sample.guide_checkpoint",
            ("train.checkpoint",),
        )
    elif not 0 < iterations < c.train.iterations:
        yield ConfigProblem(
            "sample.guide",
            f"got {sample.guide}, allowed: an earlier step of this training, @1 to @{c.train.iterations - 1}",
            ("train.iterations",),
        )
    elif kind.guide is Guide.UNLABELLED and not has_null_class(c):
        yield ConfigProblem(
            "sample.guide",
            f"{sample.guide} is this model, which needs labels: set train.label_dropout",
            ("train.label_dropout",),
        )


def _interval(c: Config) -> Iterator[ConfigProblem]:
    if (interval := c.sample.guidance_interval) is None:
        return
    least, most = interval
    last = c.diffusion.steps - 1
    if least > most or most > last:
        yield ConfigProblem(
            "sample.guidance_interval",
            f"got [{least}, {most}], allowed: the least and the largest timestep, from 0 to {last}",
            ("diffusion.steps",),
        )
    elif fractional_spacing(c.diffusion.steps, c.sample.steps) is None and not guided_timesteps(c.diffusion, c.sample):
        count = len(visited(c.diffusion, c.sample.steps))
        yield ConfigProblem(
            "sample.guidance_interval",
            f"[{least}, {most}] has none of the {count} timesteps that sample.steps visits, so nothing is guided: "
            "make it wider, or set sample.guidance_scale "
            f"{GUIDANCES[c.sample.guidance].neutral_scale:g}",
            ("sample.steps",),
        )


def has_null_class(c: Config) -> bool:
    """Whether the model can be shown images without a label."""
    return c.model.null_class or c.train.label_dropout > 0


def _default(option: str) -> Any:
    return SampleConfig.model_fields[option].default
