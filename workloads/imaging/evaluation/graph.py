"""The stages that evaluate samples, which a workload adds to its graph. Does not import torch.

    data, or evaluate.reference ─► reference ─► statistics ─► evaluate ◄─ features ◄─ images, from the workload
                                       └────────────────────────┘

Each extractor has its own stages; if there are several, the stage `metrics` combines their results.

reference computes features, which precision, recall and KID need; statistics their mean and covariance, once for all
trials. An imported file with only statistics has no reference stage.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from assay.errors import ConfigProblem, UserError
from assay.look import once_a_look
from assay.workload import JSON, Budget, Stage, digest, load_attribute
from imaging.config import DECODER, DataConfig, EvaluateConfig
from imaging.data_sources import DATA_SOURCES
from imaging.extractors import EXTRACTORS, SPATIAL, Extractor, Identity
from imaging.metrics import INFINITY, METRICS, STANDARD, Metric
from imaging.paths import is_there, places_in, whole

RGB = 3
LABEL_DIGITS = 8
NUM_PAIRED = 10_000
"""Most images of a data set that precision, recall and KID use and that are exported with its statistics, as in the
published reference files."""
SHOWN_IMAGES = 100
"""Number of samples whose images are stored with their features: those shown in the grid."""
COMPARABLE = ("num_samples", "num_reference", "num_reference_images", "extractor", "reference")
"""Metrics and notes of an evaluation that must be the same in all trials that are ranked together."""
ASSUMED_IMAGES = 50_000
"""Number of images to plan with if the data set is not on this machine. The sweep has to run where it is."""


class Evaluated(Protocol):
    """The parts of a workload's config that determine how its samples are evaluated."""

    @property
    def data(self) -> DataConfig: ...
    @property
    def evaluate(self) -> EvaluateConfig: ...
    @property
    def image_size(self) -> int:
        """Pixels per side of samples, and of the images that they are compared with."""

    @property
    def channels(self) -> int:
        """Channels of samples."""


@dataclass(frozen=True)
class _View:
    """A config reduced to one of its extractors."""

    data: DataConfig
    evaluate: EvaluateConfig
    image_size: int
    channels: int


def by_extractor(c: Evaluated) -> list[Evaluated]:
    """One config per extractor, as most functions here expect."""
    return [_View(c.data, c.evaluate.by(name), c.image_size, c.channels) for name in c.evaluate.asked]


def extractor(c: Evaluated) -> Extractor:
    return EXTRACTORS[c.evaluate.extractor]


def identity(c: Evaluated) -> Identity:
    """The identity of the features. Raises UserError for a file of weights that is missing or wrong."""
    name, function = c.evaluate.extractor, extractor(c).identity
    if function is None:
        return Identity(features=name, distance=f"fd_{name}")
    return load_attribute(function)(c.evaluate)


def extraction(c: Evaluated) -> dict[str, JSON]:
    """The parts of the config that the features of an image depend on."""
    version = extractor(c).version
    return {
        "extractor": c.evaluate.extractor,
        **({"extractor_version": version} if version > 1 else {}),
        **identity(c).config,
    }


def metrics(c: Evaluated) -> list[str]:
    """Names of the metrics that the trial reports."""
    return [name for names in _names(c) for name in names.values()]


def _names(c: Evaluated) -> list[dict[str, str]]:
    """Per extractor, metric → the trial's name for it, which ends in the extractor's name if an earlier extractor
    reports the same metric."""
    trial_names: list[dict[str, str]] = []
    for view in by_extractor(c):
        taken = {name for names in trial_names for name in names.values()}
        reported = _reported(view)
        trial_names.append({name: f"{name}_{view.evaluate.extractor}" if name in taken else name for name in reported})
    return trial_names


def _reported(c: Evaluated) -> list[str]:
    distance = identity(c).distance
    return [reported.format(distance=distance) for name in _metrics(c) for reported in METRICS[name].reports or (name,)]


def leading_metrics() -> tuple[str, ...]:
    """Metrics that reports show first: the distances, precision and recall, and those of other packages."""
    others = [name for name in METRICS if name not in (*STANDARD, INFINITY)]
    return ("fid", "sfid", *(f"fd_{name}" for name in EXTRACTORS), "precision", "recall", *others)


def _metrics(c: Evaluated) -> list[str]:
    """Metrics in this extractor's features: the standard and the requested ones whose inputs are available."""
    names = [*STANDARD, *([INFINITY] if c.evaluate.fid_infinity else []), *c.evaluate.metrics]
    return [name for name in dict.fromkeys(names) if _missing_input(c, METRICS[name]) is None]


def _missing_input(c: Evaluated, metric: Metric) -> str | None:
    """What a metric needs but this trial does not have, as the end of a sentence; None: nothing."""
    for column in metric.columns:
        if column not in extractor(c).columns:
            return f"{column}, which evaluate.extractor {c.evaluate.extractor} does not compute"
    imported = _imported(c)
    if imported is None or imported.num_images is not None or metric.against == "nothing":
        return None
    if metric.against == "statistics" and (SPATIAL not in metric.columns or imported.has_spatial):
        return None
    return f"images (arr_0), which evaluate.reference {c.evaluate.reference} does not have"


def problems(c: Evaluated, networks: Collection[str] = ()) -> Iterator[ConfigProblem]:
    """Problems of the data and the section evaluate that would otherwise only show after training.

    `networks` are the trial's own networks that `judge` is given: an extractor may need one.
    """
    asked_at, views = f"evaluate.{c.evaluate.asked_at}", by_extractor(c)
    all_problems = [problem for view in views for problem in (*_missing_network(view, networks), *_unreadable(view))]
    if not all_problems:
        all_problems = [*(problem for view in views for problem in _unsuitable_sizes(view)), *_metric_problems(c)]
    for problem in dict.fromkeys(all_problems):
        path, *about = (asked_at if at == "evaluate.extractor" else at for at in (problem.path, *problem.about))
        yield ConfigProblem(path, problem.message, tuple(about))


def _missing_network(c: Evaluated, networks: Collection[str]) -> Iterator[ConfigProblem]:
    """An extractor that needs a network which this trial does not have."""
    network = extractor(c).network
    if network is not None and network not in networks:
        others = ", ".join(name for name, entry in EXTRACTORS.items() if entry.network is None)
        yield ConfigProblem(
            "evaluate.extractor",
            f"{c.evaluate.extractor} needs the trial's own {network}, and this base has none; allowed: {others}",
        )


def _unreadable(c: Evaluated) -> Iterator[ConfigProblem]:
    """Files that cannot be read, without which nothing else can be checked."""
    weights = extractor(c).weights_option
    for path, read in ((f"evaluate.{weights or 'extractor'}", identity), ("evaluate.reference", _imported)):
        try:
            read(c)
        except UserError as error:
            yield ConfigProblem(path, str(error), ("evaluate.extractor",))
            return
    try:
        _num_reference(c)
    except UserError as error:
        yield ConfigProblem("data.path", str(error), ("data.source",))


def _unsuitable_sizes(c: Evaluated) -> Iterator[ConfigProblem]:
    """Too few or too many images or features for the metrics."""
    yield from _too_few(c)
    yield from _too_many(c)
    num_values, most = c.image_size**2 * c.channels, extractor(c).most_values
    if most is not None and num_values > most:
        yield ConfigProblem(
            "evaluate.extractor",
            f"{c.evaluate.extractor} at {c.image_size}×{c.image_size} with {c.channels} channels gives {num_values:,} "
            f"features, allowed: at most {most:,}, because of the size of their covariance: use inception",
            ("model.image_size", "model.in_channels"),
        )


def _metric_problems(c: Evaluated) -> Iterator[ConfigProblem]:
    """Metrics that no extractor of this trial can compute, or that report the same name as another."""
    for name in dict.fromkeys(c.evaluate.metrics):
        try:
            missing = [_missing_input(view, METRICS[name]) for view in by_extractor(c)]
            if missing[0] is not None and None not in missing:
                raise UserError(f"needs {missing[0]}; leave it out")
            load_attribute(METRICS[name].body)
        except UserError as error:
            yield ConfigProblem("evaluate.metrics", f"{name}: {error}", ("evaluate.extractor", "evaluate.reference"))
    for view in by_extractor(c):
        if duplicates := [name for name, count in Counter(_reported(view)).items() if count > 1]:
            message = f"{', '.join(duplicates)} would be reported by two metrics; leave one out"
            yield ConfigProblem("evaluate.metrics", message)
            return


def _too_few(c: Evaluated) -> Iterator[ConfigProblem]:
    """Too few images for the k-th neighbour of precision and recall, for KID's standard error, or for the blocks of the
    extrapolation."""
    k, num_samples = c.evaluate.precision_recall_k, c.evaluate.num_samples
    least = max(k + 1, 3)
    if num_samples < least:
        yield ConfigProblem(
            "evaluate.num_samples",
            f"got {num_samples}, allowed: {least} or more with precision_recall_k {k}",
            ("evaluate.precision_recall_k",),
        )
    imported = _imported(c)
    num_images = _num_reference(c) if imported is None else imported.num_images
    if num_images is not None and num_images < least:
        path = "data.path" if c.evaluate.num_reference is None else "evaluate.num_reference"
        yield ConfigProblem(
            path if imported is None else "evaluate.reference",
            f"has {num_images} images; precision_recall_k {k} needs {least} or more",
            ("evaluate.precision_recall_k",),
        )
    if INFINITY in _metrics(c):
        from imaging.metrics.jackknife import NUM_BLOCKS

        if num_samples < NUM_BLOCKS:
            yield ConfigProblem(
                "evaluate.fid_infinity",
                f"splits the samples into {NUM_BLOCKS} blocks, but evaluate.num_samples is {num_samples}",
                ("evaluate.num_samples",),
            )


def _too_many(c: Evaluated) -> Iterator[ConfigProblem]:
    """A num_reference larger than the data set, if that is on this machine."""
    available = countable(c)
    requested = c.evaluate.num_reference if c.evaluate.reference is None else None
    if available is not None and requested is not None and requested > available:
        yield more_than_all("evaluate.num_reference", requested, available)


def more_than_all(path: str, requested: int, available: int) -> ConfigProblem:
    return ConfigProblem(
        path, f"got {requested}, but the data has {available} images; allowed: at most {available}, or null for all"
    )


def countable(c: Evaluated) -> int | None:
    """As `num_images`, but None for a path that is not a data set, which is reported elsewhere."""
    try:
        return num_images(c)
    except UserError:
        return None


def num_images(c: Evaluated) -> int | None:
    """Number of images of the data set; None if it is not on this machine. Raises UserError if it is not a data set."""
    if (known := DATA_SOURCES[c.data.source].num_images) is not None:
        return known
    from imaging import data

    return data.num_images(c.data)


def data_section(data: DataConfig) -> dict[str, JSON]:
    """The section "data" in the config of a stage that reads images, without the options for training.

    A random crop is an augmentation of training; elsewhere the image is its centre.
    """
    section = data.model_dump(mode="json", exclude={"validation", "flip"})
    if data.crop == "random":
        section["crop"] = "centre"
    if DATA_SOURCES[data.source].is_encoded:
        section["decoder"] = DECODER
    if data.path is None:
        return section
    from imaging.data import planned_data  # here, so that planning a sweep of the digits does not import NumPy

    return {**section, **planned_data(data)}


def data_check(data: DataConfig, check: str = "imaging.data:check") -> str | None:
    """Import path of the check of a stage that reads the data; None: there are no files to check."""
    return check if DATA_SOURCES[data.source].files is not None else None


def reference_images(c: Evaluated, data: Mapping[str, JSON]) -> dict[str, JSON] | None:
    """Config for reading the images that samples are compared with; None: there are only statistics."""
    imported = _imported(c)
    if imported is None:
        order = "stored" if c.evaluate.num_reference is None else "shuffled"
        return {"data": dict(data), "image_size": c.image_size, "channels": c.channels, "order": order}
    if imported.num_images is None:
        return None
    from imaging.data import planned_data

    npz = DataConfig(source="npz", path=str(imported.path), crop="none")
    section = {"source": npz.source, "crop": npz.crop, **planned_data(npz)}
    return {"data": section, "image_size": c.image_size, "channels": RGB, "order": "stored"}


def _num_reference(c: Evaluated) -> int:
    """Number of images of the data set that samples are compared with."""
    if c.evaluate.num_reference is not None:
        return c.evaluate.num_reference
    return num_images(c) or ASSUMED_IMAGES


def _num_paired(c: Evaluated, reference: Stage) -> int:
    """How many rows of a reference precision, recall and KID use; all of a file's, as in the published evaluator."""
    return reference.amount if _imported(c) is not None else min(NUM_PAIRED, reference.amount)


def reference(
    c: Evaluated, data: Mapping[str, JSON], network: Mapping[str, Stage], batches: Mapping[str, Any]
) -> Stage | None:
    """The features of the images that samples are compared with; `batches` are the options of a fan-out's batches."""
    images, imported = reference_images(c, data), _imported(c)
    if images is None:
        return None
    num_images = _num_reference(c) if imported is None else imported.num_images
    assert num_images is not None
    config = {**images, **extraction(c)}
    return Stage(
        name="reference",
        version=2,
        kind="map",
        body=("imaging.extractors.features:ReferenceImages", extractor(c).body),
        config=config,
        places=places_in(config),
        inputs=network,
        budget=Budget("evaluate.num_reference", num_images, "images"),
        check="imaging.evaluation.checks:reference" if imported is not None or data_check(c.data) else None,
        resources="sample",
        stored_prefix={"image": 0},
        **batches,
    )


def statistics(c: Evaluated, data: Mapping[str, JSON], reference: Stage | None) -> Stage:
    """Mean and covariance of the reference's features, in a file that other programs can read, too."""
    imported, has_spatial = _imported(c), SPATIAL in extractor(c).columns
    config: dict[str, JSON] = {
        **extraction(c),
        "features": identity(c).features,
        "imported": None if imported is None else {"path": str(imported.path), "sha256": imported.sha256},
        "images": reference_images(c, data),
        "num_exported": _num_paired(c, reference) if has_spatial and reference is not None else 0,
    }
    return Stage(
        name="statistics",
        version=2,
        kind="reduce",
        body=("imaging.evaluation.stages:statistics",),
        config=config,
        places=places_in(config),
        inputs={"reference": reference} if reference is not None else {},
        execution={"columns": list(extractor(c).columns)},
        check=extractor(c).check,
    )


def batches(image_size: int, batch_size: int | Literal["auto"]) -> dict[str, Any]:
    """Batch and shard size of a map stage over images. Interruptions lose a shard, so large images get small ones."""
    is_small = image_size <= 64
    if batch_size == "auto":
        return {"batch_size": batch_size, "shard_size": 256 if is_small else 64}
    return {"batch_size": batch_size, "shard_size": batch_size * (4 if is_small else 1)}


def images(draw: Stage, keep: str) -> Stage:
    """Write the images that the stage `draw` stored to one file; `keep` is npz or png."""
    return Stage(
        name="images",
        version=1,
        kind="reduce",
        body=("imaging.kept_images:keep",),
        config={"format": keep, "count": draw.amount},
        inputs={"images": draw},
        resources="reduce",
    )


def features(c: Evaluated, images: Stage, network: Mapping[str, Stage], batches: Mapping[str, Any]) -> Stage:
    """The features of the samples. `images` are rows with the column "image", the first SHOWN_IMAGES of which are
    stored, too."""
    config = extraction(c)
    return Stage(
        name="features",
        version=1,
        kind="map",
        body=(extractor(c).body,),
        config=config,
        places=places_in(config),
        inputs=network,
        rows=images,
        budget=images.budget,
        resources="sample",
        stored_prefix={"image": SHOWN_IMAGES},
        **batches,
    )


def evaluate(
    c: Evaluated, reference: Stage | None, statistics: Stage, sample: Stage, network: Mapping[str, Stage]
) -> Stage:
    paired, pairs = None, None
    if reference is not None:
        paired = _num_paired(c, reference)
        pairs = {"order": reference.config["order"], "num_rows": reference.amount, "count": paired}
    conditions: dict[str, JSON] = {
        "extractor": _extractor_label(c, network),
        "reference": _reference_label(c, reference),
    }
    asked = sorted({*_metrics(c)} - {*STANDARD, INFINITY})
    counts = {"num_samples": c.evaluate.num_samples, "num_reference_images": paired}
    return Stage(
        name="evaluate",
        version=3,
        kind="reduce",
        body=("imaging.evaluation.stages:evaluate",),
        config={
            "extractor": c.evaluate.extractor,
            "distance": identity(c).distance,
            "precision_recall_k": c.evaluate.precision_recall_k,
            "fid_infinity": INFINITY in _metrics(c),
            **({"metrics": {name: METRICS[name].version for name in asked}} if asked else {}),
            "pairs": pairs,
            "conditions": conditions,
        },
        # The label has the file's name; the statistics have its digest in their key.
        places=("conditions.reference",) if _imported(c) is not None else (),
        inputs={
            **({"reference": reference} if reference is not None else {}),
            "statistics": statistics,
            "samples": sample,
        },
        execution={
            "metrics": [METRICS[name].body for name in _metrics(c)],
            "max_bytes": int(c.evaluate.max_gib * 2**30),
        },
        conditions={**conditions, **counts},
    )


@dataclass(frozen=True)
class Judged:
    """The stages that evaluate a trial's samples."""

    evaluate: Stage
    """The stage whose metrics are the trial's, from all extractors."""
    config: Evaluated
    """The config with the first extractor, which `reference` and `features` belong to."""
    reference: Stage | None
    features: Stage


def judge(
    c: Evaluated,
    data: Mapping[str, JSON],
    images: Stage,
    networks: Mapping[str, Stage],
    batches: Mapping[str, Any],
) -> Judged:
    """`images` draws the samples; `networks` are the stages of the trial's own networks, by the name in
    `Extractor.network`; `batches` are the options of a fan-out's batches."""
    evaluations = [_judge(view, data, images, networks, batches) for view in by_extractor(c)]
    first, *others = evaluations
    return replace(first, evaluate=_merged(c, [each.evaluate for each in evaluations])) if others else first


def _judge(
    c: Evaluated,
    data: Mapping[str, JSON],
    images: Stage,
    networks: Mapping[str, Stage],
    batches: Mapping[str, Any],
) -> Judged:
    name = extractor(c).network
    network = {} if name is None else {name: networks[name]}
    of_reference = reference(c, data, network, batches)
    of_samples = features(c, images, network, batches)
    evaluation = evaluate(c, of_reference, statistics(c, data, of_reference), of_samples, network)
    return Judged(evaluation, c, of_reference, of_samples)


def _merged(c: Evaluated, evaluations: Sequence[Stage]) -> Stage:
    """The stage that combines the metrics of all extractors."""
    first = evaluations[0]
    labels = [each.config["conditions"] for each in evaluations]
    conditions = {name: "; ".join(dict.fromkeys(each[name] for each in labels)) for name in labels[0]}
    return Stage(
        name="metrics",
        version=1,
        kind="reduce",
        body=("imaging.evaluation.stages:merge_extractors",),
        config={
            "extractors": list(c.evaluate.asked),
            "names": dict(zip(c.evaluate.asked, _names(c), strict=True)),
            "conditions": conditions,
        },
        places=("conditions.reference",) if any(each.places for each in evaluations) else (),
        inputs=dict(zip(c.evaluate.asked, evaluations, strict=True)),
        execution=first.execution,
        conditions={**first.conditions, **conditions},
    )


@dataclass(frozen=True)
class _Imported:
    """Facts about an imported reference file."""

    path: Path
    sha256: str
    num_images: int | None
    """How many images it has; None: only statistics."""
    has_spatial: bool


def _imported(c: Evaluated) -> _Imported | None:
    """The facts about evaluate.reference. Raises UserError for a file that is absent or not a reference."""
    if c.evaluate.reference is None:
        return None
    path = whole(c.evaluate.reference)
    if not is_there(path):
        raise UserError(f"{path} does not exist; leave it out to compare with the data")
    return _inspected(path)


@once_a_look
def _inspected(path: Path) -> _Imported:
    # The checksum makes a changed file another reference.
    from imaging.contents import file_sha256
    from imaging.npz import IMAGES, names_in, opened
    from imaging.reference.files import SPATIAL
    from imaging.reference.npz_images import NpzImages

    sha256 = file_sha256(path)
    with opened(path) as archive:
        names = names_in(archive)
    num_images = len(NpzImages.open(path)) if IMAGES in names else None
    return _Imported(path, sha256, num_images, set(SPATIAL) <= set(names))


def _reference_label(c: Evaluated, reference: Stage | None) -> str:
    """Label of the images that samples are compared with, the same for every extractor."""
    imported = _imported(c)
    if imported is not None:
        return f"{imported.path.name} {imported.sha256[:LABEL_DIGITS]}"
    assert reference is not None
    what = {name: reference.keyed_config[name] for name in ("data", "image_size", "channels", "order")}
    return _label(c.data.source, {**what, "num_images": reference.amount})


def _extractor_label(c: Evaluated, network: Mapping[str, Stage]) -> str:
    """Label of the features; for a network of the trial's own it depends on how the network was trained.

    It does not depend on the seed: each replicate has its own network, and their distances may be averaged.
    """
    if not network:
        return identity(c).features
    (stage,) = network.values()
    config = {name: value for name, value in stage.keyed_config.items() if name != "seed"}
    return _label(c.evaluate.extractor, {"config": config, "amount": stage.amount})


def _label(name: str, content: JSON) -> str:
    return f"{name} {digest(content)[:LABEL_DIGITS]}"
