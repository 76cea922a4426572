"""The stages that sample images. Imports no torch.

    draw ─► features, one per extractor    images are drawn once; their features are stored
      └───► images                         if images are kept: all of them in one file

Batch sizes do not change the images: sample i is sample i.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adm.compute.memory import sampling_memory
from adm.compute.sampling import sampling_flops
from adm.config import Config
from adm.effective import sampled_process
from adm.registries import imports, versions
from adm.sampling.guides import model_of
from assay.workload import JSON, Budget, Stage
from imaging.evaluation import graph as evaluation_graph


def draw(c: Config, inputs: Mapping[str, Stage]) -> Stage:
    """Samples the images. Their rows are streamed unless images are kept, which does not change the key."""
    guide = model_of(c, inputs.get("guide"))
    return Stage(
        name="draw",
        version=1,
        kind="map",
        body=("adm.sampling.stages:Sampler",),
        config=_drawing(c),
        inputs=dict(inputs),
        budget=Budget("evaluate.num_samples", c.evaluate.num_samples, "images"),
        resources="sample",
        flops=float(sampling_flops(c, guide) * c.evaluate.num_samples),
        memory=sampling_memory(c, guide),
        imports=imports(c.sample, c.diffusion, *([] if c.upsampler is None else [c.upsampler, c.upsampler.diffusion])),
        streamed=c.sample.keep_images == "none",
        **batches(c),
    )


def _drawing(c: Config) -> dict[str, JSON]:
    """The part of the config that determines image i."""
    diffusion = sampled_process(c.diffusion, c.sample.sampler, c.train.checkpoint is not None)
    config = {
        "seed": c.seed,
        "diffusion": diffusion.for_key(),
        "sample": c.sample.for_key(exclude={"batch_size", "keep_images", "guide", "guide_checkpoint"}),
        **versions(c.sample, diffusion),
    }
    if (up := c.upsampler) is None:
        return config
    process = sampled_process(up.diffusion, up.sampler, up.train.checkpoint is not None)
    upsampler = {
        **up.for_key(exclude={"model", "train", "diffusion"}),
        "diffusion": process.for_key(),
        "clip_denoised": c.sample.clip_denoised,
        **versions(up, process),
    }
    return {**config, "upsampler": upsampler}


def batches(c: Config) -> dict[str, Any]:
    """How a fan-out takes its images."""
    return evaluation_graph.batches(c.image_size, c.sample.batch_size)
