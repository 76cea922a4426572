"""BigGAN-deep as a workload: its presets, config and stage graph. Imports no torch.

    train, or load ─► draw ─► features ─► evaluate ◄─ reference, statistics

A trial trains a generator, or loads published weights. Its samples are evaluated as in every image workload.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from assay.costs.devices import DeviceDays
from assay.errors import ConfigProblem
from assay.workload import JSON, Budget, Checkpointing, Smoke, Stage, Starter, TypedWorkload
from biggan.compute import drawing_flops, step_flops
from biggan.config import Config
from biggan.memory import drawing_memory
from biggan.presets import PRESETS
from imaging.command import COMMANDS
from imaging.evaluation import facts, validation
from imaging.evaluation import graph as evaluation_graph
from imaging.paths import places_in

PACE = {"iterations", "checkpoint_every", "keep_last", "keep_every"}
"""The options of a training that set its length and its checkpoints. They do not change a step."""


class BigGANWorkload(TypedWorkload[Config]):
    name = "biggan"
    commands = COMMANDS
    config_type = Config
    bases = PRESETS
    report = facts.hints(curves=("generator_loss", "discriminator_loss"), days=DeviceDays("V100"))
    smoke = Smoke(
        "digits_gan",
        {
            "generator.channel_width": 4,
            "discriminator.channel_width": 4,
            "train.iterations": 4,
            "train.batch_size": 8,
            "train.standing_batches": 2,
            "evaluate.num_samples": 6,
            "evaluate.num_reference": 8,
        },
    )
    starter = Starter(
        description="What does truncation trade, for a GAN of scikit-learn's digits?",
        base="digits_gan",
        metric="fd_pixels",
        mode="min",
        config={"train.iterations": 300, "evaluate.num_samples": 500},
        parameters={"sample.truncation": [0.4, 0.7, 1.0]},
    )

    def problems_of(self, config: Config) -> Iterable[ConfigProblem]:
        return validation.problems(config)

    def metrics_of(self, config: Config) -> Sequence[str]:
        return facts.metrics(config)

    def stages_of(self, config: Config) -> Sequence[Stage]:
        batches = evaluation_graph.batches(config.image_size, config.sample.batch_size)
        draw = _draw(config, _train(config) if config.generator.weights is None else _load(config), batches)
        data = facts.data_section(config.data)
        leaf = evaluation_graph.judge(config, data, draw, {}, batches).evaluate
        return [leaf] if draw.streamed else [evaluation_graph.images(draw, config.sample.keep_images), leaf]


def _train(c: Config) -> Stage:
    assert c.train is not None
    assert c.discriminator is not None
    config = {
        "seed": c.seed,
        "data": {**facts.data_section(c.data), "crop": c.data.crop, "flip": c.data.flip},
        "generator": _network(c),
        "discriminator": c.discriminator.for_key(),
        "train": c.train.for_key(exclude=PACE),
    }
    images = c.train.iterations * c.train.batch_size
    return Stage(
        name="train",
        version=1,
        kind="train",
        body=("biggan.training:train",),
        config=config,
        places=places_in(config),
        budget=Budget("train.iterations", c.train.iterations, "iterations"),
        checkpointing=Checkpointing(c.train.checkpoint_every, c.train.keep_last, c.train.keep_every),
        check=facts.data_check(c.data, "biggan.checks:training_data"),
        group_check="biggan.checks:check_group",
        flops=float(step_flops(c) * images),
        items=images,
    )


def _load(c: Config) -> Stage:
    """Load published weights instead of training. Raises UserError if the file cannot be read."""
    assert c.generator.weights is not None
    config = {**facts.weights_file(c.generator.weights, "generator.weights"), "generator": _network(c)}
    return Stage(
        name="load",
        version=1,
        kind="reduce",
        body=("biggan.training:load_weights",),
        config=config,
        places=places_in(config),
        check="biggan.checks:weights",
    )


def _draw(c: Config, generator: Stage, batches: Mapping[str, Any]) -> Stage:
    """The images, streamed to their features unless they are kept. Whether they are kept is not part of the key."""
    return Stage(
        name="draw",
        version=1,
        kind="map",
        body=("biggan.sampling:Sampler",),
        config={
            "seed": c.seed,
            "generator": _network(c),
            "sample": c.sample.for_key(include={"truncation", "labels"}),
        },
        inputs={"generator": generator},
        budget=Budget("evaluate.num_samples", c.evaluate.num_samples, "images"),
        flops=float(drawing_flops(c.generator) * c.evaluate.num_samples),
        memory=drawing_memory(c.generator, batches["batch_size"]),
        streamed=c.sample.keep_images == "none",
        **batches,
    )


def _network(c: Config) -> dict[str, JSON]:
    """The part of the config that determines the network."""
    return c.generator.for_key(exclude={"weights"})


workload = BigGANWorkload()
