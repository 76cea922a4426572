"""adm as a workload of the platform: its presets, its config, its stage graph. Imports no torch.

    train_classifier ─┬──────────────────────────┐
                      ▼                          ▼
                  reference ─► statistics     features ◄── draw ◄── train, train_upsampler (two-stage sampling)
                      └───────────┴► evaluate ◄──┘

Between `train` and `draw`, `reconstruct_ema` averages the weights over sample.ema_length, if that is set.
The rows of `draw`, the images, are streamed. If images are kept, they are stored, and `images` writes them to one file.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from adm import presets, training_check
from adm.compute.memory import training_memory
from adm.compute.network import network_cost
from adm.compute.v100 import V100_DAYS, training_flops
from adm.config import Config, DiffusionConfig, ModelConfig, TrainConfig, validation_timesteps
from adm.effective import PRINTED_RESOLUTIONS, effective, reached_resolutions, trained_process
from adm.registries import NETWORKS, Guide, Role, imports, versions
from adm.sampling import check as sampling_check
from adm.sampling import graph as sampling
from adm.sampling import guides
from adm.studies import check, graph
from assay.errors import AssayWarning, ConfigProblem, FieldError, ReferenceProblem, UserError
from assay.workload import (
    JSON,
    Budget,
    Checkpointing,
    FileFormat,
    PrintedTable,
    Smoke,
    Stage,
    Starter,
    TypedWorkload,
    find_stage,
)
from assay.workload.fields import Section
from imaging.command import COMMANDS
from imaging.config import Crop
from imaging.evaluation import facts, samples, validation
from imaging.evaluation import graph as evaluation_graph
from imaging.paths import places_in

PACE = (
    "iterations",
    "checkpoint_every",
    "keep_last",
    "keep_every",
    "keep_best",
    "checkpoint",
    "init",
    "snapshot_every",
)
"""The options of a training that set its length, checkpoints and snapshots, and where it starts: that is an input. They
do not change a step."""
TRAINING_EXECUTION = ("engine", "zero_stage", "micro_batch")
CHECKPOINT_CHECKS = {
    "train.checkpoint": "adm.checkpoints.checks:model",
    "classifier.train.checkpoint": "adm.checkpoints.checks:classifier",
    "upsampler.train.checkpoint": "adm.checkpoints.checks:upsampler",
    "sample.guide_checkpoint": "adm.checkpoints.checks:guide",
}
"""Path of a checkpoint in the config → the function that checks it before anything is computed."""
NUM_HEADS_IN_PRESETS = {(1, None), (4, None)}
"""(num_heads, num_heads_up) in the presets, about which there is no warning when head_channels overrides them."""
NETWORK_EXECUTION = ("activation_checkpointing", "implementation")
"""Options of how a step is computed, which change its rounding at most."""


CONVERSIONS = "adm.checkpoints.formats"
FORMATS = (
    FileFormat(
        name="published",
        description="a .pt file with the published checkpoints' keys",
        file="model.safetensors",
        write=f"{CONVERSIONS}:write_published",
        read=f"{CONVERSIONS}:read_published",
    ),
    FileFormat(
        name="diffusers",
        description="a folder for UNet2DModel.from_pretrained",
        file="model.safetensors",
        write=f"{CONVERSIONS}:write_unet2d",
        read=f"{CONVERSIONS}:read_unet2d",
    ),
    FileFormat(
        name="safetensors",
        description="a file with the model's config in its header",
        file="model.safetensors",
        write=f"{CONVERSIONS}:write_native",
    ),
)
"""What `assay export` makes of a training's weights, and `assay import` reads."""


class AdmWorkload(TypedWorkload[Config]):
    name = "adm"
    commands = COMMANDS
    config_type = Config
    report = facts.hints(
        metrics=(*facts.leading_metrics(), *graph.METRICS),
        days=V100_DAYS,
        pictures=graph.CAPTIONS,
        side_by_side=graph.SIDE_BY_SIDE,
    )
    smoke = Smoke(
        "tiny_digits",
        {
            **{f"{part}channels": 32 for part in ("model.", "classifier.model.")},
            **{f"{part}iterations": 4 for part in ("train.", "classifier.train.")},
            **{f"{part}batch_size": 8 for part in ("train.", "classifier.train.")},
            "sample.steps": 2,
            "sample.guidance_scale": 1.0,
            "evaluate.num_samples": 6,
            "evaluate.num_reference": 8,
        },
    )
    starter = Starter(
        description="Is adaptive group normalisation better than addition + GroupNorm, on scikit-learn's digits?",
        base="tiny_digits",
        metric="fd_classifier",
        mode="min",
        config={"evaluate.num_samples": 200},
        arms={"AdaGN": {}, "addition": {"model.norm": "add"}},
        parameters={"sample.guidance_scale": [0.0, 1.0]},
    )

    def presets(self) -> Sequence[str]:
        return presets.names()

    def preset(self, base: str) -> Config:
        return presets.load(base)

    def tables(self) -> Sequence[PrintedTable]:
        """Tables 11 to 14, from the presets."""
        from adm.presets import printed  # here: it counts the parameters of every network

        return printed.tables()

    def formats(self) -> Sequence[FileFormat]:
        """A training's weights elsewhere, and published weights here."""
        return FORMATS

    def problems_of(self, config: Config) -> Iterator[ConfigProblem]:
        yield from _network_problems(config)
        yield from training_check.problems(config)
        yield from sampling_check.problems(config)
        yield from _evaluation_problems(config)
        yield from check.problems(config)

    def metrics_of(self, config: Config) -> Sequence[str]:
        if config.measure != "quality":
            return graph.metrics(config)
        if config.model.role is Role.CLASSIFIES and config.data.has_validation:
            return ["loss", *(f"accuracy_t{t}" for t in validation_timesteps(config.diffusion.steps))]
        if config.model.role is not Role.DRAWS:
            return ["loss"]
        return [*facts.metrics(config), *graph.metrics(config)]

    def stages_of(self, config: Config) -> Sequence[Stage]:
        for caution in (*_without_effect(config), *training_check.cautions(config), *sampling_check.cautions(config)):
            warnings.warn(caution, AssayWarning, stacklevel=2)
        c = effective(config)
        if c.measure == "throughput":
            return [graph.throughput(c)]
        if c.measure == "compute":
            return [graph.compute(c)]
        if c.model.role is Role.CLASSIFIES:
            return [_measured(c, _classifier(c, c.model, c.train, c.data.crop, "train"))]
        if c.model.role is Role.ENLARGES:
            return [_measured(c, _denoiser(c, c.model, c.diffusion, c.train, "train"))]
        classifier = None
        if c.classifier is not None:
            section = c.classifier
            classifier = _classifier(c, section.model, section.train, section.crop or c.data.crop, "classifier.train")
        if c.samples is not None:
            draw = samples.given(c, c.samples, sampling.batches(c))
        else:
            train = _averaged(c, _denoiser(c, c.model, c.diffusion, c.train, "train"))
            if c.measure == "likelihood":
                return [graph.likelihood(c, train)]
            if c.measure == "inversion":
                guide = None if c.guiding_classifier is None else classifier
                return [graph.inversion(c, facts.data_section(c.data), train, guide)]
            networks = {"model": train, **_guiding(c, classifier)}
            if (up := c.upsampler) is not None:
                networks["upsampler"] = _denoiser(c, up.model, up.diffusion, up.train, "upsampler.train")
            draw = sampling.draw(c, networks)
        data = facts.data_section(c.data)
        extractor_networks = {} if classifier is None else {"classifier": classifier}
        judged = evaluation_graph.judge(c, data, draw, extractor_networks, sampling.batches(c))
        leaf = graph.compute(c, judged.evaluate) if c.compute.with_quality else judged.evaluate
        if c.compute.evaluations:
            leaf = graph.evaluations(c, leaf)
        if c.figures.draw:
            reference_images = facts.reference_images(judged.config, data)
            leaf = graph.figures(c, reference_images, leaf, judged.reference, judged.features)
        return [leaf] if draw.streamed else [evaluation_graph.images(draw, c.sample.keep_images), leaf]


def _denoiser(c: Config, model: ModelConfig, diffusion: DiffusionConfig, train: TrainConfig, section: str) -> Stage:
    """The training of a diffusion model, or of an upsampler, on the same data."""
    if train.checkpoint is not None:
        return _load(model, train.checkpoint, f"{section}.checkpoint")
    process = trained_process(diffusion)
    config = {"data": _training_data(c, c.data.crop), "diffusion": process.for_key()}
    return _training(c, "train_diffusion", config, process, model, train, section)


def _averaged(c: Config, train: Stage) -> Stage:
    """The weights to sample from: those of the training, or an average that is reconstructed from its snapshots, which
    are the same training at smaller budgets."""
    if c.sample.ema_length is None:
        return train
    pace = {"anneal_iterations": c.train.annealed_over}
    return Stage(
        name="reconstruct_ema",
        version=1,
        kind="reduce",
        body=("adm.training.reconstruction:reconstruct_ema",),
        config={"length": c.sample.ema_length, "lengths": list(c.train.ema_lengths)},
        inputs={
            str(iterations): _denoiser(
                c, c.model, c.diffusion, c.train.model_copy(update={**pace, "iterations": iterations}), "train"
            )
            for iterations in c.train.snapshots
        },
    )


def _classifier(c: Config, model: ModelConfig, train: TrainConfig, crop: Crop, section: str) -> Stage:
    """The training of the classifier. It depends on the forward process q, not on the diffusion model's loss."""
    if train.checkpoint is not None:
        return _load(model, train.checkpoint, f"{section}.checkpoint")
    process = DiffusionConfig(schedule=c.diffusion.schedule, steps=c.diffusion.steps)
    config = {
        "data": {**_training_data(c, crop), "validation": c.data.validation},
        **_validation_data(c),
        "diffusion": process.for_key(include={"schedule", "steps"}),
    }
    return _training(c, "train_classifier", config, process, model, train, section)


def _guiding(c: Config, classifier: Stage | None) -> dict[str, Stage]:
    """What guides the model's images, as inputs of `draw`; nothing if that is the model itself, without labels."""
    guided_by, sample = c.sample.guided_by, c.sample
    if guided_by is Guide.CLASSIFIER:
        return {} if classifier is None else {"classifier": classifier}
    if guided_by is None or (sample.guide is None and sample.guide_checkpoint is None):
        return {}
    if sample.guide_checkpoint is not None:
        unlabelled = {"num_classes": None, "null_class": False}
        model = c.model if guided_by is Guide.WEAK else c.model.model_copy(update=unlabelled)
        return {"guide": _load(model, sample.guide_checkpoint, "sample.guide_checkpoint")}
    if (iterations := guides.earlier_iterations(sample.guide)) is not None:
        earlier = c.train.model_copy(update={"iterations": iterations})
        return {"guide": _denoiser(c, c.model, c.diffusion, earlier, "train")}
    found = find_stage(str(sample.guide), Role.DRAWS.stage, "sample.guide")
    guides.check_found(c, found)
    return {"guide": found}


def _training(
    c: Config,
    body: str,
    config: Mapping[str, JSON],
    process: DiffusionConfig,
    model: ModelConfig,
    train: TrainConfig,
    section: str,
) -> Stage:
    """The training of a network; `section` is the path of its TrainConfig."""
    network, network_execution = _apart(model, NETWORK_EXECUTION)
    training, training_execution = _apart(train, TRAINING_EXECUTION)
    return Stage(
        name=model.role.stage,
        version=1,
        kind="train",
        body=(f"adm.training.stages:{body}",),
        config={
            "seed": c.seed,
            **config,
            **versions(model, train, process, leave_out=TRAINING_EXECUTION),
            "model": network,
            # The number, also if it is the training's own length, since it changes every step.
            "train": {**_without(training, PACE), "anneal_iterations": train.annealed_over},
        },
        places=places_in(config),
        inputs={} if train.init is None else {"init": _init(model, train.init, section)},
        execution={"model": network_execution, "train": training_execution},
        budget=Budget(f"{section}.iterations", train.iterations, "iterations"),
        checkpointing=Checkpointing(train.checkpoint_every, train.keep_last, train.keep_every, train.keep_best),
        check=facts.data_check(c.data, "adm.training.checks:data"),
        imports=imports(model, train, process),
        group_check="adm.training.shares:check_group",
        resources="train",
        flops=float(training_flops(model) * train.iterations * train.batch_size),
        memory=training_memory(model, train, section, f"{section.removesuffix('train')}model"),
        items=train.iterations * train.batch_size,
    )


def _init(model: ModelConfig, reference: str, section: str) -> Stage:
    """The training to start from. Raises ReferenceProblem unless its network has the same options."""
    source = find_stage(reference, model.role.stage, f"{section}.init")
    if "model" not in source.config:  # it stands for a training that is not looked up now
        return source
    theirs, ours = (network.model_dump(mode="json") for network in (ModelConfig(**source.config["model"]), model))
    same = (*NETWORK_EXECUTION, "dropout")
    if differing := [name for name in ours if theirs[name] != ours[name] and name not in same]:
        shown = ", ".join(f"model.{name} {theirs[name]} (here {ours[name]})" for name in differing)
        raise ReferenceProblem(
            f"{section}.init: {reference} has another network: {shown}; allowed: the same model options"
        )
    return source


def _apart(section: Section, names: Sequence[str]) -> tuple[dict[str, JSON], dict[str, JSON]]:
    """The values of a config section in two parts: those not in `names`, and those in it."""
    values = section.for_key()
    return _without(values, names), {name: values[name] for name in names if name in values}


def _without(values: Mapping[str, JSON], names: Sequence[str]) -> dict[str, JSON]:
    return {name: value for name, value in values.items() if name not in names}


def _load(model: ModelConfig, checkpoint: str, path: str) -> Stage:
    """Load weights from the file that the config names at `path`. Raises UserError if it cannot be read."""
    file = facts.weights_file(checkpoint, path)
    if file["sha256"] is None:
        is_folder = Path(file["checkpoint"]).is_dir()
        hint = "; leave it out to train" if path.endswith("train.checkpoint") else ""
        wrong = " is a folder: name a file in it" if is_folder else f": there is no such file{hint}"
        raise UserError(f"{path} {checkpoint!r}{wrong}")
    config = {**file, "model": model.for_key(), **versions(model)}
    return Stage(
        name="load",
        version=1,
        kind="reduce",
        body=("adm.training.stages:load_weights",),
        config=config,
        places=places_in(config),
        check=CHECKPOINT_CHECKS[path],
        imports=imports(model),
    )


def _measured(c: Config, network: Stage) -> Stage:
    """The leaf of a trial of one network: its training, or a measurement of weights that were loaded."""
    is_classifier = c.model.role is Role.CLASSIFIES
    if c.train.checkpoint is None:
        # The accuracy is the trial's metric, so images to measure it on are required here.
        return replace(network, check="adm.training.checks:data_with_accuracy") if is_classifier else network
    process = c.diffusion.for_key(include={"schedule", "steps"} if is_classifier else None)
    config = {
        "seed": c.seed,
        "data": {**facts.data_section(c.data), "validation": c.data.validation if is_classifier else 0.0},
        **(_validation_data(c) if is_classifier else {}),
        "diffusion": process,
        "model": network.config["model"],
        **versions(c.diffusion),
    }
    return Stage(
        name="measure",
        version=1,
        kind="reduce",
        body=("adm.training.stages:measure_weights",),
        config=config,
        places=places_in(config),
        inputs={"model": network},
        check="adm.training.checks:data_with_accuracy",
    )


def _training_data(c: Config, crop: Crop) -> dict[str, JSON]:
    return {**facts.data_section(c.data), "crop": crop, "flip": c.data.flip}


def _validation_data(c: Config) -> dict[str, JSON]:
    """The images of data.validation_path, as config of a stage that measures a classifier's accuracy on them."""
    own = c.data.of_validation
    return {} if own is None else {"validation_data": facts.data_section(own)}


def _network_problems(c: Config) -> Iterator[ConfigProblem]:
    """Widths and heads that are invalid for a network."""
    for path, model in _networks(c):
        try:
            network_cost(model)
        except UserError as error:
            fields = error.fields if isinstance(error, FieldError) else ()
            yield ConfigProblem(path, str(error), tuple(f"{path}.{name}" for name in fields))


def _evaluation_problems(c: Config) -> Iterator[ConfigProblem]:
    """Problems of the data and the evaluation that would otherwise fail only after the trainings."""
    is_of_quality = c.measure == "quality" or check.is_priced_with_quality(c)
    if c.samples is not None and not (is_of_quality and c.model.role is Role.DRAWS):
        message = "has an effect only where samples are evaluated: with measure quality and a model that draws"
        yield ConfigProblem("samples", f"{message}; leave it out", ("measure", "model.kind"))
    if c.measure != "quality":
        return
    if c.model.role is Role.DRAWS:
        yield from validation.problems(c, () if c.classifier is None else ("classifier",))
        if c.samples is not None:
            yield from samples.problems(c, c.samples)
    elif c.model.role is Role.CLASSIFIES and c.data.validation:
        # A share that rounds to no image. Shares per class are checked when a run starts.
        num_images = validation.countable(c.data)
        if num_images is not None and round(num_images * c.data.validation) == 0:
            from imaging import data

            yield ConfigProblem("data.validation", data.nothing_held_out(c.data.validation, num_images))


def _without_effect(c: Config) -> Iterator[str]:
    """Warnings about attention settings without effect, other than the tables' own."""
    for path, model in _networks(c):
        if NETWORKS[model.kind].layout is None:
            continue
        reached = reached_resolutions(model)
        unreached = [size for size in model.attention_resolutions if size not in (*reached, *PRINTED_RESOLUTIONS)]
        if unreached:
            yield (
                f"{path}.attention_resolutions {', '.join(map(str, unreached))} is never reached, and has no effect: "
                f"the network's feature maps are {', '.join(map(str, reached))} pixels wide"
            )
        if model.head_channels is not None and (model.num_heads, model.num_heads_up) not in NUM_HEADS_IN_PRESETS:
            yield (
                f"{path}.num_heads has no effect: {path}.head_channels {model.head_channels} determines the number of "
                f"heads; set {path}.head_channels to null"
            )


def _networks(c: Config) -> Iterator[tuple[str, ModelConfig]]:
    """The networks of a config and their paths."""
    yield "model", c.model
    if c.classifier is not None:
        yield "classifier.model", c.classifier.model
    if c.upsampler is not None:
        yield "upsampler.model", c.upsampler.model


workload = AdmWorkload()
