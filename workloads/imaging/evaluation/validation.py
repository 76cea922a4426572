"""Problems of a config's data and evaluation, found when a sweep is validated. Does not import torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator

from assay.errors import ConfigProblem, UserError
from assay.workload import load_attribute
from imaging.config import DataConfig
from imaging.evaluation.facts import (
    Evaluated,
    by_extractor,
    extractor,
    identity,
    imported_file,
    metrics_in,
    missing_input,
    num_images,
    num_reference,
    reported_names,
)
from imaging.extractors import EXTRACTORS
from imaging.metrics import DENSITY_COVERAGE, INFINITY, METRICS


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
            (network,),
        )


def _unreadable(c: Evaluated) -> Iterator[ConfigProblem]:
    """Files that cannot be read, without which nothing else can be checked."""
    weights = extractor(c).weights_option
    for path, read in ((f"evaluate.{weights or 'extractor'}", identity), ("evaluate.reference", imported_file)):
        try:
            read(c)
        except UserError as error:
            yield ConfigProblem(path, str(error), ("evaluate.extractor",))
            return
    try:
        num_reference(c)
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
            missing = [missing_input(view, METRICS[name]) for view in by_extractor(c)]
            if missing[0] is not None and None not in missing:
                raise UserError(f"needs {missing[0]}; leave it out")
            load_attribute(METRICS[name].body)
        except UserError as error:
            yield ConfigProblem("evaluate.metrics", f"{name}: {error}", ("evaluate.extractor", "evaluate.reference"))
    for view in by_extractor(c):
        if duplicates := [name for name, count in Counter(reported_names(view)).items() if count > 1]:
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
    imported = imported_file(c)
    num_images = num_reference(c) if imported is None else imported.num_images
    needs = {"precision_recall_k": least}
    if DENSITY_COVERAGE in metrics_in(c):
        needs["density_coverage_k"] = c.evaluate.density_coverage_k + 1
    for option, at_least in needs.items():
        if num_images is not None and num_images < at_least:
            path = "data.path" if c.evaluate.num_reference is None else "evaluate.num_reference"
            yield ConfigProblem(
                path if imported is None else "evaluate.reference",
                f"has {num_images} images; {option} {getattr(c.evaluate, option)} needs {at_least} or more",
                (f"evaluate.{option}",),
            )
    if INFINITY in metrics_in(c):
        from imaging.metrics.jackknife import NUM_BLOCKS

        if num_samples < NUM_BLOCKS:
            yield ConfigProblem(
                "evaluate.fid_infinity",
                f"splits the samples into {NUM_BLOCKS} blocks, but evaluate.num_samples is {num_samples}",
                ("evaluate.num_samples",),
            )


def _too_many(c: Evaluated) -> Iterator[ConfigProblem]:
    """A num_reference larger than the data set, if that is on this machine."""
    available = countable(c.data)
    requested = c.evaluate.num_reference if c.evaluate.reference is None else None
    if available is not None and requested is not None and requested > available:
        yield more_than_all("evaluate.num_reference", requested, available)


def more_than_all(path: str, requested: int, available: int) -> ConfigProblem:
    return ConfigProblem(
        path, f"got {requested}, but the data has {available} images; allowed: at most {available}, or null for all"
    )


def countable(data: DataConfig) -> int | None:
    """As `num_images`, but None for a path that is not a data set, which is reported elsewhere."""
    try:
        return num_images(data)
    except UserError:
        return None
