"""Opens the data set of a config."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from assay.errors import AssayWarning, UserError
from assay.look import once_a_look
from assay.workload import load_attribute
from imaging.config import DataConfig
from imaging.contents import Files, contents_of
from imaging.data.decoded_images import DecodedImages
from imaging.data.labels import checked_labels
from imaging.data.types import Source, Stored
from imaging.data.watched import Watched
from imaging.data_sources import DATA_SOURCES
from imaging.paths import is_there, whole

ABOUT_FILES = ("contents", "times", "decoder", "resized")
"""Keys that the section "data" of a stage's config has besides those of DataConfig: about the files, the decoder and
the resizing."""


@once_a_look
def planned_data(data: DataConfig) -> dict[str, Any]:
    """The absolute path of a data set's files and digests of their contents and times, for a stage's config.

    Contents are None if the path does not exist on this machine: such a stage can be planned, but not run. Times are
    left out if a file changed too recently. Raises UserError for files that are not a data set, or cannot be read.
    """
    assert data.path is not None
    path = whole(data.path)
    if not is_there(path):
        return {"path": str(path), "contents": None}
    contents = contents_of(_files(data))
    times = {} if contents.times is None else {"times": contents.times}
    return {"path": str(path), "contents": contents.digest, **times}


def data_config(values: Mapping[str, Any]) -> DataConfig:
    """The DataConfig in the section "data" of a stage's config."""
    return DataConfig(**{name: value for name, value in values.items() if name not in ABOUT_FILES})


def open_planned(
    values: Mapping[str, Any], image_size: int, channels: int, classes: int | None = None, threads: int = 1
) -> Source:
    """As `open_source`, for the section "data" of a stage's config.

    Raises UserError if the files changed since the stage was planned, or while they are read.
    """
    return open_source(data_config(values), image_size, channels, classes, threads, values)


def open_source(
    data: DataConfig,
    image_size: int,
    channels: int,
    classes: int | None = None,
    threads: int = 1,
    planned: Mapping[str, Any] | None = None,
) -> Source:
    """The data set of a config, as images of image_size×image_size pixels with 1 or 3 channels. Raises UserError.

    `classes` is how many the model has; None: it is unconditional. Each `read` decodes in `threads` threads.
    `planned`: the section "data" of a stage's config, whose files must not have changed since.
    """
    facts = DATA_SOURCES[data.source]
    if facts.files is None:
        source: Source = load_attribute(facts.images)(image_size, channels)
        checked_labels(source.labels, len(source), classes, f"the {data.source}")
        return source
    if channels not in (1, 3):
        raise UserError(
            f"images have 1 channel (grey) or 3 (RGB), but the model takes {channels}: set model.in_channels"
        )
    stored = _stored(data)
    if planned is not None and "contents" in planned:
        if planned["contents"] is None:
            raise UserError(
                f"data.path {data.path!r} can be read here, but not on the machine where the sweep was planned, so "
                "changes would go unnoticed: plan the sweep on a machine that can read it, as `assay submit` does"
            )
        stored = Watched(stored, planned["contents"], planned.get("times"))
    labels = checked_labels(stored.labels, len(stored), classes, stored.labels_from)
    skip_broken = data.broken_images == "skip"
    return DecodedImages(stored, labels, image_size, channels, data.crop, skip_broken, threads, facts.is_resized_once)


@once_a_look
def num_images(data: DataConfig) -> int | None:
    """How many images a data set has; None if its path does not exist on this machine.

    Raises UserError for a path that is not a data set.
    """
    if (known := DATA_SOURCES[data.source].num_images) is not None:
        return known
    if data.path is None or not is_there(whole(data.path)):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AssayWarning)  # shown again when the images are read
        return len(_stored(data))


def _files(data: DataConfig) -> Files:
    """The files of a data set, without opening them. Raises UserError if they are not one."""
    path = DATA_SOURCES[data.source].files
    assert path is not None
    return load_attribute(path)(data)


def _stored(data: DataConfig) -> Stored:
    # Loaded by import path, so that reading a folder does not import Arrow.
    return load_attribute(DATA_SOURCES[data.source].images)(data)
