"""The stages that draw images, as the workload hangs them onto its graph. No torch here.

draw ─► features, one per extractor    images are drawn once, and their features stored
  └───► images                         where images are kept, all of them are stored, too, and made one file

How many are drawn at a time does not matter: sample i is sample i.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adm.compute.sampling import sampling_flops
from adm.config import Config
from adm.effective import sampled_process
from adm.registries import imports, versions
from assay.workload import JSON, Budget, Stage


def draw(c: Config, inputs: Mapping[str, Stage]) -> Stage:
    """The images: for their features alone, unless they are kept. Its key does not say whether they are."""
    return Stage(
        name="draw",
        version=1,
        kind="map",
        body=("adm.sampling.stages:Sampler",),
        config=_drawing(c),
        inputs=dict(inputs),
        budget=Budget("evaluate.num_samples", c.evaluate.num_samples, "images"),
        resources="sample",
        flops=float(sampling_flops(c) * c.evaluate.num_samples),
        imports=_imports(c),
        streamed=c.sample.keep_images == "none",
        **batches(c),
    )


def images(c: Config, draw: Stage) -> Stage:
    """The file of the images that are kept."""
    return Stage(
        name="images",
        version=1,
        kind="reduce",
        body=("adm.sampling.kept_images:keep",),
        config={"format": c.sample.keep_images, "count": c.evaluate.num_samples},
        inputs={"images": draw},
        resources="reduce",
    )


def _drawing(c: Config) -> dict[str, JSON]:
    """What of the config says how image i is drawn."""
    diffusion = sampled_process(c.diffusion, c.sample.sampler, c.train.checkpoint is not None)
    config = {
        "seed": c.seed,
        "diffusion": diffusion.model_dump(mode="json"),
        "sample": c.sample.model_dump(mode="json", exclude={"batch_size", "keep_images"}),
        **versions(c.sample, diffusion),
    }
    if (up := c.upsampler) is None:
        return config
    process = sampled_process(up.diffusion, up.sampler, up.train.checkpoint is not None)
    how = up.model_dump(mode="json", exclude={"model", "train", "diffusion"})
    enlarging = {**how, "diffusion": process.model_dump(mode="json"), "clip_denoised": c.sample.clip_denoised}
    return {**config, "upsampler": {**enlarging, **versions(up, process)}}


def _imports(c: Config) -> tuple[str, ...]:
    return imports(c.sample, c.diffusion, *([] if c.upsampler is None else [c.upsampler, c.upsampler.diffusion]))


def batches(c: Config) -> dict[str, Any]:
    """How a fan-out takes its images. A shard is what is lost where it is cut off: small where an image takes long."""
    is_quick = c.image_size <= 64
    size = c.sample.batch_size
    if size == "auto":
        return {"batch_size": size, "shard_size": 256 if is_quick else 64}
    return {"batch_size": size, "shard_size": size * (4 if is_quick else 1)}
