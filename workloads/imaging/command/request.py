"""What `adm-evaluate` is asked for, checked before anything is computed."""

from __future__ import annotations

import warnings
from pathlib import Path

from assay.errors import AssayWarning, UserError
from imaging.command.figures import warn_if_few
from imaging.command.images import opened_images, source_of
from imaging.command.spaces import Space
from imaging.extractors import EXTRACTORS, inception_weights, vision_weights
from imaging.metrics import METRICS
from imaging.reference.files import ImageSet, Reference, read_reference

COMMAND_EXTRACTORS = ("inception", *vision_weights.PUBLISHED)
"""Those whose networks do not belong to a trial, and whose features are published metrics'."""


def refuse_unknown(extractors: list[str], metrics: list[str]) -> None:
    """Raise UserError for an extractor that the command does not have, and a metric that none of them can measure."""
    for name in extractors:
        if name not in COMMAND_EXTRACTORS:
            raise UserError(f"--extractor {name!r}: allowed: {', '.join(COMMAND_EXTRACTORS)}")
    for name in metrics:
        if name not in METRICS:
            raise UserError(f"--metric {METRICS.refusal(name)}")
        metric = METRICS[name]
        if not any(
            metric.extractor in (None, each) and {*metric.columns} <= {*EXTRACTORS[each].columns} for each in extractors
        ):
            needs = metric.extractor or next(
                each for each in COMMAND_EXTRACTORS if {*metric.columns} <= {*EXTRACTORS[each].columns}
            )
            raise UserError(f"--metric {name} is not defined in {', '.join(extractors)}: add --extractor {needs}")


def refuse_absent(extractors: list[str], paths: dict[str, Path | None]) -> None:
    """Raise UserError with how to get them if weights are not there, before anything is read."""
    for name in extractors:
        if name == "inception":
            inception_weights.find(paths[name])
        else:
            vision_weights.find(vision_weights.PUBLISHED[name], paths[name])


def opened(reference: Path, samples: list[Path], size: int | None) -> tuple[Reference, list[ImageSet]]:
    """Open and check every file before anything is computed."""
    files = [opened_images(path, size) for path in samples]
    if source_of(reference) is None:
        read = read_reference(reference)
    else:
        read = Reference(reference, None, None, None, None, opened_images(reference, size))
    for file in files:
        if read.images is not None and file.shape[1:3] != read.images.shape[1:3]:
            (height, width), (other_height, other_width) = file.shape[1:3], read.images.shape[1:3]
            warnings.warn(
                f"{file.path} has images of {height} × {width} pixels, and {reference} of {other_height} × "
                f"{other_width}: distances include the effect of resizing",
                AssayWarning,
                stacklevel=1,
            )
    if len({len(file) for file in files}) > 1:
        counts = ", ".join(f"{file.path} {len(file):,}" for file in files)
        warnings.warn(
            f"the files have different numbers of images ({counts}), and FID falls with their number: compare the same "
            "number of each",
            AssayWarning,
            stacklevel=1,
        )
    return read, files


def warn_of_few(files: list[ImageSet], spaces: list[Space]) -> None:
    for file in files:
        for space in spaces:
            warn_if_few(str(file.path), len(file), space)
