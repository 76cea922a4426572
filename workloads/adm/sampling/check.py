"""What of a config could not be drawn, said before anything is planned. No torch here."""

from __future__ import annotations

from collections.abc import Iterator

from adm.config import Config, UpsamplerConfig
from adm.respacing import space_timesteps
from assay.errors import ConfigProblem


def problems(c: Config) -> Iterator[ConfigProblem]:
    """Every problem of how images are drawn and kept, and of an upsampler, at its path."""
    rate, first = c.sample.ema_rate, c.train.ema_rates[0]
    if c.train.checkpoint is not None and rate not in (None, first):
        yield ConfigProblem(
            "sample.ema_rate",
            f"{rate} is one of the averages of a training, but train.checkpoint {c.train.checkpoint!r} holds a single "
            "set of weights: leave it out",
        )
    is_deterministic = c.sample.sampler == "ddim" and c.sample.eta == 0
    if is_deterministic and c.sample.temperature != 1 and c.sample.temperature_scales == "noise":
        yield ConfigProblem(
            "sample.temperature",
            f"{c.sample.temperature} has no effect: it scales the noise of each step, and sample.sampler ddim with "
            "sample.eta 0 adds none; leave it out, or set sample.temperature_scales epsilon",
        )
    if c.sample.keep_images == "png" and c.model.in_channels not in (1, 3):
        yield ConfigProblem(
            "sample.keep_images",
            f"png is for grey images (1 channel) or RGB (3), but model.in_channels is {c.model.in_channels}: use npz",
        )
    if c.upsampler is not None:
        yield from _upsampler(c, c.upsampler)


def _upsampler(c: Config, up: UpsamplerConfig) -> Iterator[ConfigProblem]:
    if c.model.kind != "unet":
        yield ConfigProblem("upsampler", f"enlarges what a unet draws, but model.kind is {c.model.kind}; leave it out")
        return
    if up.model.kind != "super_res":
        yield ConfigProblem("upsampler.model.kind", f"got {up.model.kind}, allowed: super_res")
        return
    if up.model.low_res_size != c.model.image_size:
        yield ConfigProblem(
            "upsampler.model.low_res_size",
            f"got {up.model.low_res_size}, allowed: {c.model.image_size}, the model.image_size that it enlarges",
        )
    if up.model.in_channels != c.model.in_channels:
        yield ConfigProblem(
            "upsampler.model.in_channels",
            f"got {up.model.in_channels}, allowed: {c.model.in_channels}, which is model.in_channels",
        )
    expected = up.model.in_channels * (2 if up.diffusion.variance.startswith("learned") else 1)
    if up.model.out_channels != expected:
        yield ConfigProblem(
            "upsampler.model.out_channels",
            f"got {up.model.out_channels}, but upsampler.diffusion.variance {up.diffusion.variance} of "
            f"{up.model.in_channels} image channels needs {expected}",
        )
    if up.model.num_classes not in (None, classes := _classes(c)):
        known = "have no known class: use null" if classes is None else f"have {classes} classes"
        yield ConfigProblem(
            "upsampler.model.num_classes", f"got {up.model.num_classes}, but the images that it enlarges {known}"
        )
    if up.sampler == "ddpm" and up.eta != 0:
        yield ConfigProblem("upsampler.eta", f"{up.eta} is for upsampler.sampler ddim; ddpm has no η")
    try:
        space_timesteps(up.diffusion.steps, up.steps)
    except ValueError as error:
        yield ConfigProblem("upsampler.steps", f"does not fit upsampler.diffusion.steps: {error}")
    if c.evaluate.extractor == "classifier":
        yield ConfigProblem(
            "evaluate.extractor",
            f"classifier sees images of {c.model.image_size} pixels a side, but the upsampler makes them "
            f"{c.image_size}: use another extractor",
        )


def _classes(c: Config) -> int | None:
    """How many classes the base model draws from: its own, or those that the classifier guides it to."""
    if c.model.num_classes is None and c.classifier is not None and c.sample.guidance_scale > 0:
        return c.classifier.model.out_channels
    return c.model.num_classes
