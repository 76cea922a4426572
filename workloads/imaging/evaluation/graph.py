"""The stages that evaluate samples, which a workload adds to its graph. Does not import torch.

    data, or evaluate.reference ─► reference ─► statistics ─► evaluate ◄─ features ◄─ images, from the workload
                                       └────────────────────────┘

Each extractor has its own stages; if there are several, the stage `metrics` combines their results.

reference computes features, which precision, recall and KID need; statistics their mean and covariance, once for all
trials. An imported file with only statistics has no reference stage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from assay.workload import JSON, Budget, Memory, Stage, digest, load_attribute
from imaging.evaluation.facts import (
    Evaluated,
    by_extractor,
    data_check,
    extraction,
    extractor,
    identity,
    imported_file,
    metrics_in,
    names_by_extractor,
    num_reference,
    reference_images,
    replicated_names,
)
from imaging.extractors import SPATIAL
from imaging.metrics import DENSITY_COVERAGE, INFINITY, METRICS, STANDARD
from imaging.paths import places_in

LABEL_DIGITS = 8
BATCH_SIZE = "sample.batch_size"
"""The option that sets how many images an actor processes at a time, in all image workloads."""
NUM_PAIRED = 10_000
"""Most images of a data set that precision, recall and KID use and that are exported with its statistics, as in the
published reference files."""
SHOWN_IMAGES = 100
"""Number of samples whose images are stored with their features: those shown in the grid."""


def reference(
    c: Evaluated, data: Mapping[str, JSON], network: Mapping[str, Stage], batches: Mapping[str, Any]
) -> Stage | None:
    """The features of the images that samples are compared with; `batches` are the options of a fan-out's batches."""
    images, imported = reference_images(c, data), imported_file(c)
    if images is None:
        return None
    num_images = num_reference(c) if imported is None else imported.num_images
    assert num_images is not None
    config = {**images, **extraction(c)}
    return Stage(
        name="reference",
        version=2,
        kind="map",
        body=("imaging.extractors.features:StoredImages", extractor(c).body),
        config=config,
        places=places_in(config),
        inputs=network,
        budget=Budget("evaluate.num_reference", num_images, "images"),
        check="imaging.evaluation.checks:reference" if imported is not None or data_check(c.data) else None,
        resources="sample",
        memory=extractor_memory(c, network, batches),
        stored_prefix={"image": 0},
        **batches,
    )


def _num_paired(c: Evaluated, reference: Stage) -> int:
    """How many rows of a reference precision, recall and KID use; all of a file's, as in the published evaluator."""
    return reference.amount if imported_file(c) is not None else min(NUM_PAIRED, reference.amount)


def statistics(c: Evaluated, data: Mapping[str, JSON], reference: Stage | None) -> Stage:
    """Mean and covariance of the reference's features, in a file that other programs can read, too."""
    imported, has_spatial = imported_file(c), SPATIAL in extractor(c).columns
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
        memory=extractor_memory(c, network, batches),
        stored_prefix={"image": SHOWN_IMAGES},
        **batches,
    )


def extractor_memory(c: Evaluated, network: Mapping[str, Stage], batches: Mapping[str, Any]) -> Memory | None:
    """What an actor that extracts features needs for them; None if that is unknown."""
    function = extractor(c).memory
    needs = None if function is None else load_attribute(function)(c.evaluate, network)
    if needs is None:
        return None
    held, per_image = needs
    return Memory(held, ((0, per_image),), at_a_time=batches["batch_size"], setting=BATCH_SIZE)


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
    arithmetic = c.evaluate.precision_recall_arithmetic
    asked = sorted({*metrics_in(c)} - {*STANDARD, INFINITY})
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
            **({} if arithmetic == "float32" else {"precision_recall_arithmetic": arithmetic}),
            "fid_infinity": INFINITY in metrics_in(c),
            **({"density_coverage_k": c.evaluate.density_coverage_k} if DENSITY_COVERAGE in asked else {}),
            **({"metrics": {name: METRICS[name].version for name in asked}} if asked else {}),
            "pairs": pairs,
            "conditions": conditions,
        },
        # The label has the file's name; the statistics have its digest in their key.
        places=("conditions.reference",) if imported_file(c) is not None else (),
        inputs={
            **({"reference": reference} if reference is not None else {}),
            "statistics": statistics,
            "samples": sample,
        },
        execution={
            "metrics": [METRICS[name].body for name in metrics_in(c)],
            "max_bytes": int(c.evaluate.max_gib * 2**30),
        },
        conditions={**conditions, **counts},
        replicated=tuple(replicated_names(c)),
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
    evaluations = []
    for view in by_extractor(c):
        name = extractor(view).network
        network = {} if name is None else {name: networks[name]}
        of_reference = reference(view, data, network, batches)
        of_samples = features(view, images, network, batches)
        metrics = evaluate(view, of_reference, statistics(view, data, of_reference), of_samples, network)
        evaluations.append(Judged(metrics, view, of_reference, of_samples))
    first, *others = evaluations
    return replace(first, evaluate=_merged(c, [each.evaluate for each in evaluations])) if others else first


def _merged(c: Evaluated, evaluations: Sequence[Stage]) -> Stage:
    """The stage that combines the metrics of all extractors."""
    first = evaluations[0]
    labels = [each.config["conditions"] for each in evaluations]
    conditions = {name: "; ".join(dict.fromkeys(each[name] for each in labels)) for name in labels[0]}
    names = names_by_extractor(c)
    by_metric = {
        metric: label["extractor"] for label, own in zip(labels, names, strict=True) for metric in own.values()
    }
    return Stage(
        name="metrics",
        version=1,
        kind="reduce",
        body=("imaging.evaluation.stages:merge_extractors",),
        config={
            "extractors": list(c.evaluate.asked),
            "names": dict(zip(c.evaluate.asked, names, strict=True)),
            "conditions": conditions,
        },
        places=("conditions.reference",) if any(each.places for each in evaluations) else (),
        inputs=dict(zip(c.evaluate.asked, evaluations, strict=True)),
        execution=first.execution,
        conditions={**first.conditions, **conditions, "extractor": by_metric},
        replicated=tuple(
            own[metric] for own, each in zip(names, evaluations, strict=True) for metric in each.replicated
        ),
    )


def _reference_label(c: Evaluated, reference: Stage | None) -> str:
    """Label of the images that samples are compared with, the same for every extractor."""
    imported = imported_file(c)
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
