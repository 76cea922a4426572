"""Warnings about a data set that may not be what the user meant, with counts, before anything is computed."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from assay.redaction import printable
from assay.text import listed, plural
from assay.workload import load_attribute
from imaging.config import DataConfig
from imaging.data.folder import SUFFIXES, class_name
from imaging.data.paths import files_below
from imaging.data.types import Labels
from imaging.data_sources import DATA_SOURCES
from imaging.npz import IMAGES, names_in, opened
from imaging.paths import shown, whole

SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""Word → the split that it means."""
SPLIT = re.compile(rf"({'|'.join(SPLITS)})[-_ ]?(set|split|images?|data|[-_0-9].*)?", re.IGNORECASE)
"""Names of folders and files that mean a split: train, val2017, test_images."""
FEW = 10
"""Classes with fewer images are reported if the median class has at least ten times as many."""
OTHER_LABELS = {
    "basename": ", as their names begin with the same word; data.labels subfolder uses the first folder as the class",
    "subfolder": ", as all are in one folder; data.labels basename uses the name before '_' as the class",
}
"""data.labels → a possible reason why all images are of one class, and what to do."""


@dataclass(frozen=True)
class Remarks:
    """Remarks of a source about its data."""

    lines: Sequence[str] = ()
    class_names: Sequence[str] | None = None
    """Names of the classes, in order."""
    other_classes: str = ""
    """Another way to label the images: the end of a sentence that says that all are of one class."""


def remarks(data: DataConfig, labels: Labels, classes: int | None) -> Iterator[str]:
    """What the user should know about the data, one line each. `classes` is how many the model has, or None."""
    function = DATA_SOURCES[data.source].remarks
    of_source: Remarks = load_attribute(function)(data, len(labels)) if function is not None else Remarks()
    yield from of_source.lines
    if classes is not None and classes > 1:
        yield from _classes(_where(data), labels, classes, of_source.class_names, of_source.other_classes)


def of_folder(data: DataConfig, num_images: int) -> Remarks:
    """Files that are not read, splits that are mixed, and the names of the classes."""
    below = files_below(_root(data))
    read = [file for file in below if file.lower().endswith(SUFFIXES)]
    is_class = "; data.labels subfolder reads them as classes" if data.labels == "subfolder" else ""
    lines = [
        *_left_out(_where(data), (file for file in below if not file.lower().endswith(SUFFIXES)), SUFFIXES),
        *_splits(_where(data), _split_of_folders(read), num_images, "folder", is_class),
    ]
    names = sorted({class_name(file, data.labels) for file in read})
    return Remarks(lines, names, OTHER_LABELS[data.labels] if any(os.sep in file for file in read) else "")


def of_parquet(data: DataConfig, num_images: int) -> Remarks:
    """Files of a folder that are not read, and splits that are mixed."""
    if not _root(data).is_dir():
        return Remarks()
    below = files_below(_root(data))
    read = [file for file in below if os.sep not in file and file.endswith(".parquet")]
    return Remarks(
        [
            *_left_out(_where(data), set(below) - set(read), (".parquet directly in this folder",)),
            *_splits(_where(data), {file: _split_of(file) for file in read}, num_images, "file", ""),
        ]
    )


def of_npz(data: DataConfig, num_images: int) -> Remarks:
    """Arrays that are not read."""
    return Remarks(list(_other_arrays(_where(data), _root(data))))


def _where(data: DataConfig) -> str:
    return f"data.path {data.path!r}"


def _root(data: DataConfig) -> Path:
    assert data.path is not None
    return whole(data.path)


def _left_out(where: str, files: Iterable[str], formats: Sequence[str]) -> Iterator[str]:
    kinds = Counter(map(_kind, files))
    if count := kinds.total():
        told = listed(
            [f"{number:,} {kind}" for kind, number in sorted(kinds.items(), key=lambda kind: (-kind[1], kind))]
        )
        there_are = plural(count, "file is", "files are")
        yield f"{where}: {there_are} not read: {told}; only {', '.join(formats)} are read"


def _kind(file: str) -> str:
    """A file's suffix: ".tif"; with an image's suffix before it, both: ".JPG.bak"."""
    *stem, last = file.rsplit(os.sep, 1)[-1].split(".")
    if not stem:
        return "without a suffix"
    inner = f".{stem[-1]}" if len(stem) > 1 and f".{stem[-1].lower()}" in SUFFIXES else ""
    return shown(f"{inner}.{last}")


def _split_of_folders(files: Sequence[str]) -> dict[str, str | None]:
    """File → the split that one of its folders or its own name means; None: none."""
    return {
        file: next((split for part in Path(file).parts if (split := _split_of(part)) is not None), None)
        for file in files
    }


def _split_of(name: str) -> str | None:
    matched = SPLIT.fullmatch(name.split(".")[0])
    return SPLITS[matched[1].lower()] if matched else None


def _splits(where: str, split_of: Mapping[str, str | None], count: int, by: str, consequence: str) -> Iterator[str]:
    files: defaultdict[str, list[str]] = defaultdict(list)
    for file, split in split_of.items():
        if split is not None:
            files[split].append(file)
    if len(files) > 1:
        there = [split for split in dict.fromkeys(SPLITS.values()) if split in files]
        told = [f"{split} ({plural(len(files[split]), 'file')}, such as {shown(min(files[split]))})" for split in there]
        yield (
            f"{where} mixes splits: {' and '.join(told)}; all {count:,} images are read as one data set{consequence}. "
            f"To read one split, name its {by}"
        )


def _other_arrays(where: str, file: Path) -> Iterator[str]:
    """Other arrays that are named like a split: x_train, test_images."""
    with opened(file) as archive:
        names = names_in(archive)
    of_splits = [
        printable(name, is_line=True) for name in names if SPLITS.keys() & set(re.split("[^a-z]+", name.lower()))
    ]
    if of_splits:
        there_are = plural(len(of_splits), "array is", "arrays are")
        kept = f"only {IMAGES} and its labels are read"
        yield f"{where}: {there_are} not read: {listed(of_splits)}; {kept}"


def _classes(where: str, labels: Labels, classes: int, names: Sequence[str] | None, other: str) -> Iterator[str]:
    """Classes without images, and with few. `other` is as `Remarks.other_classes`."""
    counts = np.bincount(labels, minlength=classes)
    there: list[int] = np.flatnonzero(counts).tolist()
    empty: list[int] = np.flatnonzero(counts == 0).tolist()

    def name(index: int) -> str:
        return str(index) if names is None else f"{shown(names[index])!r}"

    if len(empty):
        have = "has" if len(empty) == 1 else "have"
        lacking = f"{where}: {len(empty):,} of the model's {classes:,} classes {have} no image"
        if len(there) == 1:
            yield f"{lacking}: all {len(labels):,} images are of class {name(there[0])}{other}"
        else:
            has = f"the data has {len(there):,} ({listed([name(index) for index in there])})"
            without = "" if names is not None else f": {listed([str(index) for index in empty])}"
            yield f"{lacking}{without}; {has}"
    few = [index for index in there if counts[index] < FEW and counts[index] * FEW <= np.median(counts[there])]
    if few:
        told = listed([f"{name(index)} has {counts[index]}" for index in few])
        yield (
            f"{where}: {plural(len(few), 'class', 'classes')} of {len(there):,} with fewer than {FEW} images each, "
            f"where half of the classes have {np.median(counts[there]):,.0f} and more: {told}"
        )
