"""The stages of the studies. Imports no torch.

quality      evaluate ─► evaluations (if they are counted) ─► figures (if there are pictures)
inversion    train, train_classifier ─► invert ─► inversion
throughput   throughput
compute      throughput (if it is measured) ─► compute ◄─ evaluate (if it is reported with the quality)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from adm import presets
from adm.compute import num_evaluations, training_flops
from adm.compute.memory import sampling_memory, training_memory
from adm.compute.network import network_cost
from adm.config import Config, DiffusionConfig, ModelConfig, SampleConfig, TrainConfig
from adm.effective import sampled_process
from adm.registries import PICTURES, SAMPLERS, imports, versions
from adm.respacing import space_timesteps
from adm.studies.config import TrainingOf
from assay.workload import JSON, Budget, Stage, Work
from imaging.evaluation import facts
from imaging.evaluation import graph as evaluation_graph
from imaging.paths import places_in

TIMED = (
    "optimizer",
    "learning_rate",
    "weight_decay",
    "gradient_clip",
    "precision",
    "engine",
    "ema_rates",
    "ema_lengths",
    "compress_gradients",
)
"""The training options that the duration of a step depends on."""
PAIRS_PER_SHARD = 8


INVERSION = ("reconstruction_error",)
LIKELIHOOD = ("bits_per_dim", "bits_per_dim_se", "prior_bits_per_dim")
THROUGHPUT = ("images_per_second", "images_per_v100_second", "theoretical_images_per_v100_second", "utilisation")
SUMS = {
    "total_v100_days": ("generator", "upsampler", "classifier"),
    "generator_v100_days": ("generator", "upsampler"),
    "upsampler_v100_days": ("upsampler",),
    "classifier_v100_days": ("classifier",),
}
"""Metric of `compute` → the trainings it includes. In table 10, an upsampler is part of the generator."""
COMPUTE = ("total_v100_days", "total_v100_days_least", "generator_v100_days", "classifier_v100_days")
EVALUATIONS = ("num_evaluations",)
METRICS = (
    *(name for _, picture in PICTURES.items() for name in picture.metrics),
    *INVERSION,
    *LIKELIHOOD,
    *THROUGHPUT,
    *COMPUTE,
    *EVALUATIONS,
)
"""Metrics of the studies, for reports."""


CAPTIONS = {
    **{picture.file: picture.caption for _, picture in PICTURES.items()},
    "interpolation.png": "real images at the ends, reconstructions and interpolations between them",
    "terms.png": "the bound's terms by timestep, in bits per dimension",
}
SIDE_BY_SIDE = frozenset(picture.file for _, picture in PICTURES.items() if picture.side_by_side)


def metrics(c: Config) -> tuple[str, ...]:
    """The metrics of a study's trial; if it measures quality, only those that its pictures and its cost add."""
    if c.measure == "quality":
        of_pictures = (metric for name in c.figures.draw for metric in PICTURES[name].metrics)
        of_costs = (*(COMPUTE if c.compute.with_quality else ()), *(EVALUATIONS if c.compute.evaluations else ()))
        return (*of_pictures, *of_costs)
    return {"inversion": INVERSION, "likelihood": LIKELIHOOD, "throughput": THROUGHPUT, "compute": COMPUTE}[c.measure]


def figures(
    c: Config, images: Mapping[str, JSON] | None, evaluate: Stage, reference: Stage | None, sample: Stage
) -> Stage:
    """Pictures of the samples; its metrics are those of `evaluate` and those of the pictures. `images` is the config
    for reading the images that the samples are compared with."""
    num_images = c.figures.num_reference
    if reference is not None and reference.budget is not None and num_images is not None:
        # A random subset of the data, in an order in which larger subsets begin with the smaller ones.
        images = {**(images or {}), "order": "shuffled"}
        config = {**reference.config, "order": "shuffled"}
        reference = replace(reference, config=config, budget=replace(reference.budget, amount=num_images))
    config = {
        "seed": c.seed,
        **(images or {}),
        **c.figures.for_key(),
        **({"num_classes": len(c.sample.labels)} if draws_classes(c) else {}),
        "num_rows": None if reference is None else reference.amount,
        "conditions": evaluate.config["conditions"],
        **versions(c.figures),
    }
    return Stage(
        name="figures",
        version=2,
        kind="reduce",
        body=("adm.studies.figures:figures",),
        config=config,
        places=(*places_in(config), *evaluate.places),
        inputs={
            "evaluated": evaluate,
            **({"reference": reference} if reference is not None else {}),
            "samples": sample,
        },
        imports=imports(c.figures),
        execution=evaluate.execution,
        conditions=evaluate.conditions,
        prices=evaluate.prices,
    )


def draws_classes(c: Config) -> bool:
    """Whether a picture has a row for each class that sample.labels lists."""
    return any(PICTURES[name].is_per_class for name in c.figures.draw)


def inversion(c: Config, data: Mapping[str, JSON], train: Stage, classifier: Stage | None) -> Stage:
    """Pairs of real images, encoded and decoded; a guided model also decodes with the classifier's gradient."""
    passes = c.inversion.num_images + 2
    sampler = SAMPLERS[c.sample.sampler]
    diffusion = sampled_process(c.diffusion, c.sample.sampler, c.train.checkpoint is not None)
    pairs = Stage(
        name="invert",
        version=1,
        kind="map",
        body=("adm.studies.inversion:Inverter",),
        config={
            "seed": c.seed,
            "data": dict(data),
            "diffusion": diffusion.for_key(),
            "steps": c.sample.for_key()["steps"],
            "guidance_scale": c.sample.guidance_scale,
            "clip_denoised": c.sample.clip_denoised,
            "precision": c.sample.precision,
            "ema_rate": c.sample.ema_rate,
            "num_images": c.inversion.num_images,
            "sampler": c.sample.sampler,
            **versions(c.sample, diffusion),
        },
        imports=(*imports(c.sample, c.diffusion), *([] if sampler.reverse is None else [sampler.reverse])),
        places=places_in({"data": data}),
        inputs={"model": train, **({"classifier": classifier} if classifier is not None else {})},
        budget=Budget("inversion.num_pairs", c.inversion.num_pairs, "pairs"),
        check=facts.data_check(c.data),
        resources="sample",
        batch_size=c.sample.batch_size,
        memory=sampling_memory(c),
        shard_size=PAIRS_PER_SHARD,
        flops=float(
            num_evaluations(c.sample.sampler, c.diffusion, c.sample.steps)
            * network_cost(c.model).flops
            * passes
            * c.inversion.num_pairs
        ),
    )
    return Stage(
        name="inversion",
        version=1,
        kind="reduce",
        body=("adm.studies.inversion:inversion",),
        config={},
        inputs={"pairs": pairs},
    )


def likelihood(c: Config, train: Stage) -> Stage:
    """The variational bound of each image, then their mean."""
    data, requested = c.data.of_validation or c.data, c.likelihood.num_images
    num_images = requested or facts.num_images(data) or facts.ASSUMED_IMAGES
    steps = space_timesteps(c.diffusion.steps, c.sample.steps)
    config = {
        "seed": c.seed,
        "data": facts.data_section(data),
        "order": "stored" if requested is None else "shuffled",
        "diffusion": c.diffusion.for_key(exclude={"loss"}),
        "steps": c.sample.for_key()["steps"],
        "clip_denoised": c.sample.clip_denoised,
        "precision": c.sample.precision,
        "ema_rate": c.sample.ema_rate,
        **versions(c.diffusion, leave_out=("loss",)),
    }
    unguided = SampleConfig(batch_size=c.sample.batch_size, precision=c.sample.precision)
    bound = Stage(
        name="bound",
        version=1,
        kind="map",
        body=("adm.studies.likelihood:Bound",),
        config=config,
        imports=imports(c.diffusion),
        places=places_in(config),
        inputs={"model": train},
        budget=Budget("likelihood.num_images", num_images, "images"),
        check=facts.data_check(data),
        resources="sample",
        flops=float(len(steps) * network_cost(c.model).flops * num_images),
        # Each step is a pass as in drawing, without guidance.
        memory=sampling_memory(c.model_copy(update={"sample": unguided})),
        **evaluation_graph.batches(c.image_size, c.sample.batch_size),
    )
    return Stage(
        name="likelihood",
        version=1,
        kind="reduce",
        body=("adm.studies.likelihood:likelihood",),
        config={"timesteps": sorted(steps)},
        inputs={"bound": bound},
    )


def throughput(c: Config) -> Stage:
    """Timed training steps of the config's network, or of a preset's."""
    preset = c.throughput.preset
    chosen = c if preset is None else presets.load(preset)
    model = chosen.model.model_copy(update={"implementation": c.model.implementation})
    return _throughput(c, model, chosen.diffusion, chosen.train)


def _throughput(c: Config, model: ModelConfig, diffusion: DiffusionConfig, train: TrainConfig) -> Stage:
    timed = {name: value for name, value in train.for_key().items() if name in TIMED}
    batch_size, workers = c.throughput.batch_size, c.throughput.workers
    num_images = batch_size * workers * (c.throughput.warmup + c.throughput.repeats)
    needs = train.model_copy(update={"batch_size": batch_size * workers, "micro_batch": batch_size, "zero_stage": 0})
    memory = training_memory(model, needs, "throughput", "model")
    return Stage(
        name="throughput",
        version=2,
        kind="train",
        body=("adm.studies.throughput:throughput",),
        config={
            "model": model.for_key(),
            "diffusion": diffusion.for_key(),
            "train": {**timed, "iterations": 1, "batch_size": batch_size},
            "warmup": c.throughput.warmup,
            "repeats": c.throughput.repeats,
            "device": c.throughput.device,
            "workers": workers,
            **versions(model, diffusion),
        },
        group_check="adm.studies.check:timed_group",
        imports=imports(model, diffusion),
        flops=float(training_flops(model) * num_images),
        memory=None if memory is None else replace(memory, setting="throughput.batch_size"),
        items=num_images,
    )


def compute(c: Config, evaluate: Stage | None = None) -> Stage:
    """The cost of trainings, which it does not run. Its metrics include those of `evaluate`, if there is one."""
    prices: dict[str, tuple[Work, ...]] = {}
    if c.compute.rival is not None:
        config: dict[str, JSON] = {"rival": c.compute.rival}
        timed: dict[str, Stage] = {}
    else:
        chosen = trainings(c)
        work = {part: _work(c, part, model, train) for part, (model, train, _) in chosen.items()}
        sums = {metric: tuple(work[part] for part in parts if part in work) for metric, parts in SUMS.items()}
        prices = {metric: parts for metric, parts in sums.items() if parts}
        how = c.compute.throughput
        config = {
            "rival": None,
            "trainings": {
                part: {
                    "model": model.for_key(),
                    "iterations": train.iterations,
                    "batch_size": train.batch_size,
                }
                for part, (model, train, _) in chosen.items()
            },
            "throughput": how,
            "utilisation": c.compute.utilisation,
        }
        timed = {part: _throughput(c, m, d, t) for part, (m, t, d) in chosen.items()} if how == "measured" else {}
    alone = Stage(
        name="compute",
        version=1,
        kind="reduce",
        body=("adm.studies.compute:compute",),
        config=config,
        inputs=timed,
        prices=prices,
    )
    if evaluate is None:
        return alone
    return replace(
        alone,
        config={**config, "conditions": evaluate.config["conditions"]},
        places=evaluate.places,
        inputs={**timed, "evaluated": evaluate},
        execution=evaluate.execution,
        conditions=evaluate.conditions,
    )


def evaluations(c: Config, evaluated: Stage) -> Stage:
    """How often an image's networks are evaluated, beside the metrics of `evaluated`."""
    count = num_evaluations(c.sample.sampler, c.diffusion, c.sample.steps)
    if (up := c.upsampler) is not None:
        count += num_evaluations(up.sampler, up.diffusion, up.steps)
    return Stage(
        name="evaluations",
        version=1,
        kind="reduce",
        body=("adm.studies.evaluations:evaluations",),
        config={"num_evaluations": count, "conditions": evaluated.config["conditions"]},
        places=evaluated.places,
        inputs={"evaluated": evaluated},
        execution=evaluated.execution,
        conditions=evaluated.conditions,
        prices=evaluated.prices,
        replicated=evaluated.replicated,
    )


def _work(c: Config, part: str, model: ModelConfig, train: TrainConfig) -> Work:
    name = getattr(c.compute, part).preset or f"{part} of {model.image_size} pixels"
    return Work(name, model.role.stage, train.iterations * train.batch_size, training_flops(model))


Training = tuple[ModelConfig, TrainConfig, DiffusionConfig]


def trainings(c: Config) -> dict[str, Training]:
    """Part → its training: that of the preset in the section compute, else the config's own."""
    section = c.compute
    if section.generator.preset is None:
        parts: dict[str, Training] = {"generator": _with((c.model, c.train, c.diffusion), section.generator)}
        if c.classifier is not None and section.classifier.preset is None:
            training = (c.classifier.model, c.classifier.train, c.diffusion)
            parts["classifier"] = _with(training, section.classifier)
        if c.upsampler is not None and section.upsampler.preset is None:
            training = (c.upsampler.model, c.upsampler.train, c.upsampler.diffusion)
            parts["upsampler"] = _with(training, section.upsampler)
    else:
        parts = {"generator": _preset(section.generator)}
    for part, priced in (("classifier", section.classifier), ("upsampler", section.upsampler)):
        if priced.preset is not None:
            parts[part] = _preset(priced)
    return parts


def _preset(training: TrainingOf) -> Training:
    assert training.preset is not None
    c = presets.load(training.preset)
    return _with((c.model, c.train, c.diffusion), training)


def _with(chosen: Training, training: TrainingOf) -> Training:
    model, train, diffusion = chosen
    update = {name: value for name, value in training.model_dump().items() if name != "preset" and value is not None}
    return model, train.model_copy(update=update), diffusion
