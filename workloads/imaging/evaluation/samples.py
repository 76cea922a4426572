"""Samples that somebody else drew: a file of images, evaluated as a trial's own are. Does not import torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from assay.errors import ConfigProblem, UserError
from assay.workload import Budget, Memory, Stage
from imaging.config import DataConfig
from imaging.evaluation.facts import Evaluated, data_section
from imaging.evaluation.graph import BATCH_SIZE
from imaging.paths import places_in

SOURCES = {".npz": "npz", ".zip": "zip"}
"""Suffix → data source; anything else is a folder of images."""


def samples_data(path: str) -> DataConfig:
    """The images at a path: an npz as published, a zip of images, or a folder of them. They are not cropped."""
    return DataConfig(source=SOURCES.get(PurePath(path).suffix.lower(), "folder"), path=path, crop="none")


def given(c: Evaluated, path: str, batches: Mapping[str, Any]) -> Stage:
    """Reads the first evaluate.num_samples images at a path. They are streamed to their features, since they are
    stored already."""
    config = {
        "data": data_section(samples_data(path)),
        "image_size": c.image_size,
        "channels": c.channels,
        "order": "stored",
    }
    return Stage(
        name="samples",
        version=1,
        kind="map",
        body=("imaging.extractors.features:StoredImages",),
        config=config,
        places=places_in(config),
        budget=Budget("evaluate.num_samples", c.evaluate.num_samples, "images"),
        check="imaging.evaluation.checks:samples",
        resources="sample",
        # Only its images, as an extractor is given them.
        memory=Memory(0, ((0, c.channels * c.image_size**2),), at_a_time=batches["batch_size"], setting=BATCH_SIZE),
        streamed=True,
        **batches,
    )


def problems(c: Evaluated, path: str) -> Iterator[ConfigProblem]:
    """Files that are no images, or too few."""
    from imaging import data  # here, so that planning without files does not import NumPy

    try:
        there = data.num_images(samples_data(path))
    except UserError as error:
        yield ConfigProblem("samples", about(error))
        return
    if there is not None and there < c.evaluate.num_samples:
        message = f"got {c.evaluate.num_samples}, but samples {path!r} has {there} images; allowed: at most {there}"
        yield ConfigProblem("evaluate.num_samples", message, ("samples",))


def about(error: UserError) -> str:
    """The message of an error about the samples' files, which were opened as data, in terms of the option samples."""
    return str(error).replace("data.path", "samples")
