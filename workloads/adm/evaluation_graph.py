"""The stages that judge samples, as the workload hangs them onto its graph. No torch here.

    data, or evaluate.reference ─► reference ─► statistics ─► evaluate ◄─ sample
                                       └────────────────────────┘

reference holds features, which precision, recall and KID need; statistics their mean and covariance, computed once for
all trials. An imported file of statistics alone has no reference stage.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adm.config import NUM_DIGITS, Config, DataConfig
from adm.paths import is_there, places_in, whole
from assay.errors import ConfigProblem, UserError
from assay.look import once_a_look
from assay.workload import JSON, Budget, Stage, digest

RGB = 3
LABEL_DIGITS = 8
NUM_PAIRED = 10_000
"""Images of a data set that stand for it in `PAIRS`, and in the file of its statistics, as in the published ones."""
ASSUMED_IMAGES = 50_000
"""All images of a data set that cannot be seen from where a sweep is planned. It is run where they can."""
MOST_PIXELS = 4096
PAIRS = ("precision", "recall", "kid")
"""Metrics that compare features with features, and not statistics."""


def extraction(c: Config) -> dict[str, JSON]:
    """What of the config the features of an image depend on."""
    if c.evaluate.extractor != "inception":
        return {"extractor": c.evaluate.extractor}
    return {
        "extractor": "inception",
        "inception": {
            "weights": c.evaluate.inception_weights and str(whole(c.evaluate.inception_weights)),
            "sha256": _inception_sha256(c),
            "precision": c.evaluate.inception_precision,
        },
    }


def metrics(c: Config) -> list[str]:
    """What the trial reports of its samples."""
    distance, is_inception = _distance(c), c.evaluate.extractor == "inception"
    imported = _imported(c)
    has_images = imported is None or imported.num_images is not None
    has_spatial = is_inception and (has_images or (imported is not None and imported.has_spatial))
    names = [distance]
    names += [f"s{distance}"] if has_spatial else []
    names += ["inception_score"] if is_inception else []
    names += PAIRS if has_images else ()
    return [*names, f"{distance}_infinity"] if c.evaluate.fid_infinity else names


def problems(c: Config) -> Iterator[ConfigProblem]:
    """What of the data and of the section evaluate could only fail after the trainings, at its path."""
    if c.model.kind == "encoder" and c.measure == "quality":
        yield from _nothing_held_out(c)
    if c.model.kind != "unet" or c.measure != "quality":
        return
    for path, look in (("evaluate.inception_weights", _inception_sha256), ("evaluate.reference", _imported)):
        try:
            look(c)
        except UserError as error:
            yield ConfigProblem(path, str(error))
            return
    try:
        _num_reference(c)
    except UserError as error:
        yield ConfigProblem("data.path", str(error))
        return
    yield from _too_few(c)
    yield from _too_many(c)
    num_features = c.image_size**2 * c.model.in_channels
    if c.evaluate.extractor == "pixels" and num_features > MOST_PIXELS:
        yield ConfigProblem(
            "evaluate.extractor",
            f"pixels of {c.image_size}×{c.image_size} with {c.model.in_channels} channels are {num_features:,} "
            f"features, and a covariance of more than {MOST_PIXELS:,} is out of reach: use inception",
        )
    if {"neighbours", "diversity"} & set(c.figures.draw) and reference_images(c, {}) is None:
        yield ConfigProblem(
            "figures.draw", f"needs images to show, but evaluate.reference {c.evaluate.reference} has none (arr_0)"
        )


def _too_few(c: Config) -> Iterator[ConfigProblem]:
    """Precision and recall need a k-th neighbour, KID a standard error, the extrapolation its blocks."""
    k, num_samples = c.evaluate.precision_recall_k, c.evaluate.num_samples
    least = max(k + 1, 3)
    if num_samples < least:
        yield ConfigProblem(
            "evaluate.num_samples", f"got {num_samples}, allowed: {least} or more with precision_recall_k {k}"
        )
    imported = _imported(c)
    num_images = _num_reference(c) if imported is None else imported.num_images
    if num_images is not None and num_images < least:
        given = "data.path" if c.evaluate.num_reference is None else "evaluate.num_reference"
        path = given if imported is None else "evaluate.reference"
        yield ConfigProblem(path, f"has {num_images} images; precision_recall_k {k} needs {least} or more")
    if c.evaluate.fid_infinity:
        from adm.evaluation.jackknife import NUM_BLOCKS

        if num_samples < NUM_BLOCKS:
            yield ConfigProblem(
                "evaluate.fid_infinity",
                f"cuts the samples into {NUM_BLOCKS} blocks, but evaluate.num_samples is {num_samples}",
            )


def _too_many(c: Config) -> Iterator[ConfigProblem]:
    """Parts of the data that are more than all of it, where it can be seen from here."""
    there_are = _countable(c)
    if there_are is None:
        return
    asked: dict[str, int | None] = {}
    if c.evaluate.reference is None:
        asked["evaluate.num_reference"] = c.evaluate.num_reference
        asked["figures.num_reference"] = c.figures.num_reference if "neighbours" in c.figures.draw else None
    for path, count in asked.items():
        if count is not None and count > there_are:
            yield ConfigProblem(
                path, f"got {count}, but the data has {there_are} images; allowed: at most {there_are}, or null for all"
            )
    if "diversity" in c.figures.draw and c.evaluate.reference is None and c.figures.num_samples**2 > there_are:
        yield ConfigProblem(
            "figures.num_samples",
            f"{c.figures.num_samples} asks for {c.figures.num_samples**2} training images to show beside as many "
            f"samples, but the data has {there_are}",
        )


def _nothing_held_out(c: Config) -> Iterator[ConfigProblem]:
    """A share of the data that rounds to no image: a classifier's accuracy would not be reported.

    What only the sizes of the classes tell is said where a run starts.
    """
    if not c.data.validation:
        return
    there_are = _countable(c)
    if there_are is not None and round(there_are * c.data.validation) == 0:
        from adm import data

        yield ConfigProblem("data.validation", data.nothing_held_out(c.data.validation, there_are))


def _countable(c: Config) -> int | None:
    """Images of the data set, if one is to be seen from here: what is wrong with data, its readers say."""
    try:
        return num_images(c)
    except UserError:
        return None


def num_images(c: Config) -> int | None:
    """Images of the data set, where they can be seen from here. Raises UserError for what is there, and is none."""
    if c.data.source == "digits":
        return NUM_DIGITS
    from adm import data  # here, so that a sweep of the digits is planned without NumPy

    return data.num_images(c.data)


def reference_images(c: Config, data: Mapping[str, JSON]) -> dict[str, JSON] | None:
    """What samples are compared with, as config of a stage that reads images; None where there are only statistics."""
    imported = _imported(c)
    if imported is None:
        order = "stored" if c.evaluate.num_reference is None else "shuffled"
        return {"data": dict(data), "image_size": c.image_size, "channels": c.model.in_channels, "order": order}
    if imported.num_images is None:
        return None
    from adm.data import planned_data

    npz = DataConfig(source="npz", path=str(imported.path), crop="none")
    section = {"source": npz.source, "crop": npz.crop, **planned_data(npz)}
    return {"data": section, "image_size": c.image_size, "channels": RGB, "order": "stored"}


def _num_reference(c: Config) -> int:
    """Images of the data set that samples are compared with."""
    if c.evaluate.num_reference is not None:
        return c.evaluate.num_reference
    return num_images(c) or ASSUMED_IMAGES


def _num_paired(c: Config, reference: Stage) -> int:
    """Rows of a reference that stand for all of it: of a file, all, as the published evaluator has it."""
    return reference.amount if _imported(c) is not None else min(NUM_PAIRED, reference.amount)


def reference(
    c: Config, data: Mapping[str, JSON], classifier: Stage | None, batches: Mapping[str, Any]
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
        body=("adm.evaluation.extractors:ReferenceImages", "adm.evaluation.extractors:Features"),
        config=config,
        places=places_in(config),
        inputs={"classifier": classifier} if classifier is not None else {},
        budget=Budget("evaluate.num_reference", num_images, "images"),
        check="adm.evaluation.checks:reference" if c.data.source != "digits" or imported is not None else None,
        resources="sample",
        stored_prefix={"image": 0},
        **batches,
    )


def statistics(c: Config, data: Mapping[str, JSON], reference: Stage | None) -> Stage:
    """Mean and covariance of the reference's features, as a file that other programs read, too."""
    imported, is_inception = _imported(c), c.evaluate.extractor == "inception"
    config: dict[str, JSON] = {
        **extraction(c),
        "features": _features_name(c),
        "imported": None if imported is None else {"path": str(imported.path), "sha256": imported.sha256},
        "images": reference_images(c, data),
        "num_exported": _num_paired(c, reference) if is_inception and reference is not None else 0,
    }
    return Stage(
        name="statistics",
        version=2,
        kind="reduce",
        body=("adm.evaluation.stages:statistics",),
        config=config,
        places=places_in(config),
        inputs={"reference": reference} if reference is not None else {},
        check="adm.evaluation.checks:statistics" if is_inception else None,
    )


def evaluate(c: Config, reference: Stage | None, statistics: Stage, sample: Stage, classifier: Stage | None) -> Stage:
    paired, pairs = None, None
    if reference is not None:
        paired = _num_paired(c, reference)
        pairs = {"order": reference.config["order"], "num_rows": reference.amount, "count": paired}
    conditions: dict[str, JSON] = {
        "extractor": _label("classifier", _without_seed(classifier)) if classifier else _features_name(c),
        "reference": _reference_label(c, reference),
    }
    counts = {"num_samples": c.evaluate.num_samples, "num_reference_images": paired}
    return Stage(
        name="evaluate",
        version=3,
        kind="reduce",
        body=("adm.evaluation.stages:evaluate",),
        config={
            "extractor": c.evaluate.extractor,
            "distance": _distance(c),
            "precision_recall_k": c.evaluate.precision_recall_k,
            "fid_infinity": c.evaluate.fid_infinity,
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
        execution={"max_bytes": int(c.evaluate.max_gib * 2**30)},
        conditions={**conditions, **counts},
    )


def _distance(c: Config) -> str:
    """What the Fréchet distance is called."""
    if c.evaluate.extractor != "inception":
        return f"fd_{c.evaluate.extractor}"
    from adm.evaluation.inception_weights import distance_name, extractor_name

    return distance_name(extractor_name(_inception_sha256(c)))


def _features_name(c: Config) -> str:
    """What the features are called; a distance needs both sides to be called the same."""
    if c.evaluate.extractor != "inception":
        return c.evaluate.extractor
    from adm.evaluation.inception_weights import extractor_name, features_name

    return features_name(extractor_name(_inception_sha256(c)), c.evaluate.inception_precision)


def _inception_sha256(c: Config) -> str:
    """Of the weights. Without a path they are the published ones, wherever a machine keeps them. Raises UserError."""
    if c.evaluate.extractor != "inception":
        return ""
    from adm.evaluation import inception_weights  # here, so that a sweep of the digits is planned without NumPy

    if c.evaluate.inception_weights is None:
        inception_weights.refuse_relative()
        return inception_weights.SHA256
    path = whole(c.evaluate.inception_weights)
    return file_sha256(path if is_there(path) else inception_weights.find(path))


@once_a_look
def file_sha256(path: Path) -> str:
    """What a file holds. Raises UserError where it cannot be read."""
    from adm.contents import sha256_of  # here, so that a sweep of the digits is planned without NumPy

    return sha256_of(path)


@dataclass(frozen=True)
class _Imported:
    """A reference file."""

    path: Path
    sha256: str
    num_images: int | None
    """How many images it has; None: statistics alone."""
    has_spatial: bool


def _imported(c: Config) -> _Imported | None:
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
    from adm.evaluation.npz_images import IMAGES, NpzImages, names_in, opened
    from adm.evaluation.reference_npz import SPATIAL

    sha256 = file_sha256(path)
    with opened(path) as archive:
        names = names_in(archive)
    num_images = len(NpzImages.open(path)) if IMAGES in names else None
    return _Imported(path, sha256, num_images, set(SPATIAL) <= set(names))


def _reference_label(c: Config, reference: Stage | None) -> str:
    """Which images samples are compared with, whatever looks at them."""
    imported = _imported(c)
    if imported is not None:
        return f"{imported.path.name} {imported.sha256[:LABEL_DIGITS]}"
    assert reference is not None
    what = {name: reference.keyed_config[name] for name in ("data", "image_size", "channels", "order")}
    return _label(c.data.source, {**what, "num_images": reference.amount})


def _without_seed(classifier: Stage) -> JSON:
    """How a classifier was trained. Replicates have one each, made alike: their distances may be averaged."""
    config = {name: value for name, value in classifier.keyed_config.items() if name != "seed"}
    return {"config": config, "amount": classifier.amount}


def _label(name: str, content: JSON) -> str:
    return f"{name} {digest(content)[:LABEL_DIGITS]}"
