"""The data set of a config."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from assay.errors import AssayWarning, UserError
from assay.look import once_a_look
from assay.workload import load_attribute
from imaging.config import DataConfig
from imaging.contents import Files, contents_of
from imaging.data.labels import checked_labels
from imaging.data.pictures import Pictures
from imaging.data.types import Source, Stored
from imaging.data.watched import Watched
from imaging.data_sources import DATA_SOURCES
from imaging.paths import is_there, whole

ABOUT_FILES = ("contents", "times", "decoder")
"""What the section "data" of a stage's config has beside a DataConfig: what files hold, and how they are decoded."""


@once_a_look
def planned_data(data: DataConfig) -> dict[str, Any]:
    """Where the files of a data set are, and what they hold: path, contents and times, for a stage's config.

    Contents are None where nothing is to be seen from here: such a stage can be planned, and not run. Times are left
    out where they tell nothing. Raises UserError for what is there and is no data set, or cannot be read.
    """
    assert data.path is not None
    path = whole(data.path)
    if not is_there(path):
        return {"path": str(path), "contents": None}
    contents = contents_of(_files(data))
    times = {} if contents.times is None else {"times": contents.times}
    return {"path": str(path), "contents": contents.digest, **times}


def data_config(values: Mapping[str, Any]) -> DataConfig:
    """The DataConfig of a stage, whose slice also says what the files hold."""
    return DataConfig(**{name: value for name, value in values.items() if name not in ABOUT_FILES})


def open_planned(
    values: Mapping[str, Any], image_size: int, channels: int, classes: int | None = None, threads: int = 1
) -> Source:
    """The data set of a stage, as `open_source`: the one that the stage was planned with.

    `values` are the section "data" of its config. Raises UserError where it is another now, and as soon as it becomes
    another while it is read.
    """
    return _open(data_config(values), image_size, channels, classes, threads, values)


def open_source(
    data: DataConfig, image_size: int, channels: int, classes: int | None = None, threads: int = 1
) -> Source:
    """The data set of a config, as images of image_size×image_size pixels with 1 or 3 channels. Raises UserError.

    `classes` is how many the model knows; None is a model that is not told any. `threads` decode one `read` together.
    """
    return _open(data, image_size, channels, classes, threads, {})


def _open(
    data: DataConfig, image_size: int, channels: int, classes: int | None, threads: int, planned: Mapping[str, Any]
) -> Source:
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
    if "contents" in planned:
        if planned["contents"] is None:
            raise UserError(
                f"data.path {data.path!r} can be read here, but not from where the sweep was planned, so nothing tells "
                "whether it stays the same: run the sweep on a machine that reads it, as `assay submit` does"
            )
        stored = Watched(stored, planned["contents"], planned.get("times"))
    labels = checked_labels(stored.labels, len(stored), classes, stored.labels_from)
    return Pictures(stored, labels, image_size, channels, data.crop, data.broken_images == "skip", threads)


@once_a_look
def num_images(data: DataConfig) -> int | None:
    """How many images a data set has; None where nothing is to be seen from here.

    Raises UserError for what is there, and is no data set.
    """
    if (known := DATA_SOURCES[data.source].num_images) is not None:
        return known
    if data.path is None or not is_there(whole(data.path)):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AssayWarning)  # told by whoever reads the images
        return len(_stored(data))


def _files(data: DataConfig) -> Files:
    """What a data set is read from, without opening it. Raises UserError for what is no such data set."""
    path = DATA_SOURCES[data.source].files
    assert path is not None
    return load_attribute(path)(data)


def _stored(data: DataConfig) -> Stored:
    # By its import path: a folder needs no Arrow.
    return load_attribute(DATA_SOURCES[data.source].images)(data)
