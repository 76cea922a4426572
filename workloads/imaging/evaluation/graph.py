"""The stages that judge samples, as the workload hangs them onto its graph. No torch here.

    data, or evaluate.reference ─► reference ─► statistics ─► evaluate ◄─ features ◄─ images, which a workload draws
                                       └────────────────────────┘

Each extractor has its own; if there are several, the stage `metrics` brings their results together.

reference holds features, which precision, recall and KID need; statistics their mean and covariance, computed once for
all trials. An imported file of statistics alone has no reference stage.
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
"""Images of a data set that stand for it where features are compared with features, and in the file of its statistics,
as in the published ones."""
SHOWN_IMAGES = 100
"""Samples whose image is stored with their features: those that the grid shows."""
COMPARABLE = ("num_samples", "num_reference", "num_reference_images", "extractor", "reference")
"""Metrics and notes of an evaluation that must be the same in trials that are ranked together, of whatever workload."""
ASSUMED_IMAGES = 50_000
"""All images of a data set that cannot be seen from where a sweep is planned. It is run where they can."""


class Evaluated(Protocol):
    """What of a workload's config says how its samples are judged."""

    @property
    def data(self) -> DataConfig: ...
    @property
    def evaluate(self) -> EvaluateConfig: ...
    @property
    def image_size(self) -> int:
        """Pixels a side of samples, and of the images that they are compared with."""

    @property
    def channels(self) -> int:
        """Channels of the samples."""


@dataclass(frozen=True)
class _View:
    """A config with one of its extractors."""

    data: DataConfig
    evaluate: EvaluateConfig
    image_size: int
    channels: int


def by_extractor(c: Evaluated) -> list[Evaluated]:
    """The config with each of its extractors alone, which is what most functions here expect."""
    return [_View(c.data, c.evaluate.by(name), c.image_size, c.channels) for name in c.evaluate.asked]


def extractor(c: Evaluated) -> Extractor:
    return EXTRACTORS[c.evaluate.extractor]


def identity(c: Evaluated) -> Identity:
    """What the features are. Raises UserError where a file that says so is not as it must be."""
    name, function = c.evaluate.extractor, extractor(c).identity
    if function is None:
        return Identity(features=name, distance=f"fd_{name}")
    return load_attribute(function)(c.evaluate)


def extraction(c: Evaluated) -> dict[str, JSON]:
    """What of the config the features of an image depend on."""
    version = extractor(c).version
    return {
        "extractor": c.evaluate.extractor,
        **({"extractor_version": version} if version > 1 else {}),
        **identity(c).config,
    }


def metrics(c: Evaluated) -> list[str]:
    """What the trial reports of its samples."""
    return [name for names in _names(c) for name in names.values()]


def _names(c: Evaluated) -> list[dict[str, str]]:
    """Per extractor, metric → the trial's name for it, which ends in the extractor's if an earlier one reports the same
    metric."""
    found: list[dict[str, str]] = []
    for view in by_extractor(c):
        taken = {name for names in found for name in names.values()}
        reported = _reported(view)
        found.append({name: f"{name}_{view.evaluate.extractor}" if name in taken else name for name in reported})
    return found


def _reported(c: Evaluated) -> list[str]:
    distance = identity(c).distance
    return [reported.format(distance=distance) for name in _metrics(c) for reported in METRICS[name].reports or (name,)]


def leading_metrics() -> tuple[str, ...]:
    """What reports show first: the distances, precision and recall, and what other packages registered."""
    others = [name for name in METRICS if name not in (*STANDARD, INFINITY)]
    return ("fid", "sfid", *(f"fd_{name}" for name in EXTRACTORS), "precision", "recall", *others)


def _metrics(c: Evaluated) -> list[str]:
    """Names of the metrics of an extractor: the standard ones, and what is asked for, as far as it can have them."""
    names = [*STANDARD, *([INFINITY] if c.evaluate.fid_infinity else []), *c.evaluate.metrics]
    return [name for name in dict.fromkeys(names) if _lacking(c, METRICS[name]) is None]


def _lacking(c: Evaluated, metric: Metric) -> str | None:
    """What a metric needs and this trial does not have, as the end of a sentence."""
    for column in metric.columns:
        if column not in extractor(c).columns:
            return f"{column}, which evaluate.extractor {c.evaluate.extractor} does not give"
    imported = _imported(c)
    if imported is None or imported.num_images is not None or metric.against == "nothing":
        return None
    if metric.against == "statistics" and (SPATIAL not in metric.columns or imported.has_spatial):
        return None
    return f"images (arr_0), which evaluate.reference {c.evaluate.reference} does not have"


def problems(c: Evaluated, networks: Collection[str] = ()) -> Iterator[ConfigProblem]:
    """What of the data and of the section evaluate could only fail after the trainings, at its path.

    `networks` are those of the trial's own that an extractor may look through, as `judge` is given them.
    """
    asked_at, views = f"evaluate.{c.evaluate.asked_at}", by_extractor(c)
    found = [problem for view in views for problem in (*_blind(view, networks), *_unreadable(view))]
    if not found:
        found = [*(problem for view in views for problem in _unfit(view)), *_asked_metrics(c)]
    for problem in dict.fromkeys(found):
        path, *about = (asked_at if at == "evaluate.extractor" else at for at in (problem.path, *problem.about))
        yield ConfigProblem(path, problem.message, tuple(about))


def _blind(c: Evaluated, networks: Collection[str]) -> Iterator[ConfigProblem]:
    """Extractors that look through a network which this trial does not have."""
    network = extractor(c).network
    if network is not None and network not in networks:
        others = ", ".join(name for name, entry in EXTRACTORS.items() if entry.network is None)
        yield ConfigProblem(
            "evaluate.extractor",
            f"{c.evaluate.extractor} looks through the trial's own {network}, and this base has none; allowed: "
            f"{others}",
        )


def _unreadable(c: Evaluated) -> Iterator[ConfigProblem]:
    """Files without which nothing else can be said."""
    weights = extractor(c).weights_option
    for path, look in ((f"evaluate.{weights or 'extractor'}", identity), ("evaluate.reference", _imported)):
        try:
            look(c)
        except UserError as error:
            yield ConfigProblem(path, str(error), ("evaluate.extractor",))
            return
    try:
        _num_reference(c)
    except UserError as error:
        yield ConfigProblem("data.path", str(error), ("data.source",))


def _unfit(c: Evaluated) -> Iterator[ConfigProblem]:
    """Numbers of images and values that no metric can be had of."""
    yield from _too_few(c)
    yield from _too_many(c)
    num_values, most = c.image_size**2 * c.channels, extractor(c).most_values
    if most is not None and num_values > most:
        yield ConfigProblem(
            "evaluate.extractor",
            f"{c.evaluate.extractor} of {c.image_size}×{c.image_size} with {c.channels} channels are {num_values:,} "
            f"features, and a covariance of more than {most:,} is out of reach: use inception",
            ("model.image_size", "model.in_channels"),
        )


def _asked_metrics(c: Evaluated) -> Iterator[ConfigProblem]:
    """Metrics that no extractor of this trial can have, or that report what another one does."""
    for name in dict.fromkeys(c.evaluate.metrics):
        try:
            lacking = [_lacking(view, METRICS[name]) for view in by_extractor(c)]
            if lacking[0] is not None and None not in lacking:
                raise UserError(f"needs {lacking[0]}; leave it out")
            load_attribute(METRICS[name].body)
        except UserError as error:
            yield ConfigProblem("evaluate.metrics", f"{name}: {error}", ("evaluate.extractor", "evaluate.reference"))
    for view in by_extractor(c):
        if twice := [name for name, count in Counter(_reported(view)).items() if count > 1]:
            message = f"{', '.join(twice)} would be reported by two metrics; leave one out"
            yield ConfigProblem("evaluate.metrics", message)
            return


def _too_few(c: Evaluated) -> Iterator[ConfigProblem]:
    """Precision and recall need a k-th neighbour, KID a standard error, the extrapolation its blocks."""
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
        given = "data.path" if c.evaluate.num_reference is None else "evaluate.num_reference"
        path = given if imported is None else "evaluate.reference"
        yield ConfigProblem(
            path,
            f"has {num_images} images; precision_recall_k {k} needs {least} or more",
            ("evaluate.precision_recall_k",),
        )
    if INFINITY in _metrics(c):
        from imaging.metrics.jackknife import NUM_BLOCKS

        if num_samples < NUM_BLOCKS:
            yield ConfigProblem(
                "evaluate.fid_infinity",
                f"cuts the samples into {NUM_BLOCKS} blocks, but evaluate.num_samples is {num_samples}",
                ("evaluate.num_samples",),
            )


def _too_many(c: Evaluated) -> Iterator[ConfigProblem]:
    """A part of the data that is more than all of it, where it can be seen from here."""
    there_are = countable(c)
    asked = c.evaluate.num_reference if c.evaluate.reference is None else None
    if there_are is not None and asked is not None and asked > there_are:
        yield more_than_all("evaluate.num_reference", asked, there_are)


def more_than_all(path: str, asked: int, there_are: int) -> ConfigProblem:
    return ConfigProblem(
        path, f"got {asked}, but the data has {there_are} images; allowed: at most {there_are}, or null for all"
    )


def countable(c: Evaluated) -> int | None:
    """Images of the data set, if one is to be seen from here: what is wrong with data, its readers say."""
    try:
        return num_images(c)
    except UserError:
        return None


def num_images(c: Evaluated) -> int | None:
    """Images of the data set, where they can be seen from here. Raises UserError for what is there, and is none."""
    if (known := DATA_SOURCES[c.data.source].num_images) is not None:
        return known
    from imaging import data

    return data.num_images(c.data)


def data_section(data: DataConfig) -> dict[str, JSON]:
    """What the images are, without how training varies them: a random crop is of an image whose centre is the image.

    The section "data" of the config of a stage that reads them.
    """
    section = data.model_dump(mode="json", exclude={"validation", "flip"})
    if data.crop == "random":
        section["crop"] = "centre"
    if DATA_SOURCES[data.source].is_encoded:
        section["decoder"] = DECODER
    if data.path is None:
        return section
    from imaging.data import planned_data  # here, so that a sweep of the digits is planned without NumPy

    return {**section, **planned_data(data)}


def data_check(data: DataConfig, check: str = "imaging.data:check") -> str | None:
    """What looks at the data where a stage that reads it will run; None where there are no files to look at."""
    return check if DATA_SOURCES[data.source].files is not None else None


def reference_images(c: Evaluated, data: Mapping[str, JSON]) -> dict[str, JSON] | None:
    """What samples are compared with, as config of a stage that reads images; None where there are only statistics."""
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
    """Images of the data set that samples are compared with."""
    if c.evaluate.num_reference is not None:
        return c.evaluate.num_reference
    return num_images(c) or ASSUMED_IMAGES


def _num_paired(c: Evaluated, reference: Stage) -> int:
    """Rows of a reference that stand for all of it: of a file, all, as the published evaluator has it."""
    return reference.amount if _imported(c) is not None else min(NUM_PAIRED, reference.amount)


def reference(
    c: Evaluated, data: Mapping[str, JSON], network: Mapping[str, Stage], batches: Mapping[str, Any]
) -> Stage | None:
    """The features of what samples are compared with; `batches` is how a fan-out takes its images."""
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
    """Mean and covariance of the reference's features, as a file that other programs read, too."""
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
    """How a fan-out takes its images. A shard is what is lost where it is cut off: small where an image takes long."""
    is_quick = image_size <= 64
    if batch_size == "auto":
        return {"batch_size": batch_size, "shard_size": 256 if is_quick else 64}
    return {"batch_size": batch_size, "shard_size": batch_size * (4 if is_quick else 1)}


def images(draw: Stage, keep: str) -> Stage:
    """The file of the images that are kept, of a stage that draws them: `keep` is npz or png."""
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
    """The features of the samples, whose `images` are rows with the column "image"; of these the first few are stored,
    too, for pictures."""
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
        # A file's name, beside the digest that its statistics have in their key.
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
    """The stages that judge a trial's samples."""

    evaluate: Stage
    """Its metrics are the trial's: of all extractors."""
    config: Evaluated
    """With the first extractor, whose reference and features follow."""
    reference: Stage | None
    features: Stage


def judge(
    c: Evaluated,
    data: Mapping[str, JSON],
    images: Stage,
    networks: Mapping[str, Stage],
    batches: Mapping[str, Any],
) -> Judged:
    """`images` draws the samples; `networks` are the trial's own, by what an extractor that looks through one calls it;
    `batches` is how a fan-out takes its images."""
    found = [_judge(view, data, images, networks, batches) for view in by_extractor(c)]
    first, *others = found
    return replace(first, evaluate=_together(c, [each.evaluate for each in found])) if others else first


def _judge(
    c: Evaluated,
    data: Mapping[str, JSON],
    images: Stage,
    networks: Mapping[str, Stage],
    batches: Mapping[str, Any],
) -> Judged:
    name = extractor(c).network
    network = {} if name is None else {name: networks[name]}
    compared = reference(c, data, network, batches)
    seen = features(c, images, network, batches)
    return Judged(evaluate(c, compared, statistics(c, data, compared), seen, network), c, compared, seen)


def _together(c: Evaluated, evaluations: Sequence[Stage]) -> Stage:
    """The metrics of all extractors, as one stage's."""
    first = evaluations[0]
    noted = [each.config["conditions"] for each in evaluations]
    conditions = {name: "; ".join(dict.fromkeys(each[name] for each in noted)) for name in noted[0]}
    return Stage(
        name="metrics",
        version=1,
        kind="reduce",
        body=("imaging.evaluation.stages:together",),
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
    """A reference file."""

    path: Path
    sha256: str
    num_images: int | None
    """How many images it has; None: statistics alone."""
    has_spatial: bool


def _imported(c: Evaluated) -> _Imported | None:
    """Raises UserError for a file that is absent or no reference."""
    if c.evaluate.reference is None:
        return None
    path = whole(c.evaluate.reference)
    if not is_there(path):
        raise UserError(f"{path} does not exist; leave it out to compare with the data")
    return _looked_at(path)


@once_a_look
def _looked_at(path: Path) -> _Imported:
    """The names in the file and its checksum, which make a changed file another reference."""
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
    """Which images samples are compared with, whatever looks at them."""
    imported = _imported(c)
    if imported is not None:
        return f"{imported.path.name} {imported.sha256[:LABEL_DIGITS]}"
    assert reference is not None
    what = {name: reference.keyed_config[name] for name in ("data", "image_size", "channels", "order")}
    return _label(c.data.source, {**what, "num_images": reference.amount})


def _extractor_label(c: Evaluated, network: Mapping[str, Stage]) -> str:
    """What the features are called, with how a network of the trial's own was trained.

    Not with its seed: replicates have a network each, made alike, and their distances may be averaged.
    """
    if not network:
        return identity(c).features
    (stage,) = network.values()
    config = {name: value for name, value in stage.keyed_config.items() if name != "seed"}
    return _label(c.evaluate.extractor, {"config": config, "amount": stage.amount})


def _label(name: str, content: JSON) -> str:
    return f"{name} {digest(content)[:LABEL_DIGITS]}"
