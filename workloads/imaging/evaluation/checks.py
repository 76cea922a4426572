"""Checks of an evaluation's inputs on the machine that will run it, before anything is computed."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from assay.errors import AssayWarning, UserError
from imaging import data
from imaging.data.image_faults import NUM_LOOKED_AT, fault_of
from imaging.evaluation.samples import about
from imaging.extractors import inception_weights

if TYPE_CHECKING:
    from imaging.reference.files import Reference

MOST_LOOKED_AT = 1000
"""Images from the whole set that are checked if the first ones are faulty."""


def reference(config: Mapping[str, Any]) -> None:
    """Check that the data can be read, and that its images are not all faulty. Raises UserError; warns if only the
    first ones are."""
    data.check(config)
    source = data.open_planned(config["data"], config["image_size"], config["channels"])
    first = source.read(np.arange(min(NUM_LOOKED_AT, len(source)))).images
    if fault := fault_of(first):
        told = f"{config['data']['path']}: the first {len(first)} images {fault}"
        all_over = np.linspace(0, len(source) - 1, min(MOST_LOOKED_AT, len(source))).round().astype(np.int64)
        if fault_of(source.read(all_over).images):
            raise UserError(told)
        warnings.warn(f"{told}; later ones look fine", AssayWarning, stacklevel=2)


def samples(config: Mapping[str, Any]) -> None:
    """Check that the samples of a file can be read, and have the size of those that they are compared with. Raises
    UserError."""
    try:
        data.check(config)
    except UserError as error:
        raise type(error)(about(error)) from error


def statistics(config: Mapping[str, Any]) -> None:
    """Check that Inception's weights are available, and an imported file is a reference made with them. Raises
    UserError."""
    if config["imported"] is not None:  # first, so that missing weights do not hide what is wrong with it
        imported_reference(config)
    path = inception_weights.planned(config["inception"])
    if config["inception"]["sha256"] != inception_weights.SHA256:  # the published file is known to hold the network
        from imaging.extractors.inception import InceptionV3

        InceptionV3().load_file(path, any_weights=True)


def imported_reference(config: Mapping[str, Any]) -> Reference:
    """The reference file that a stage was planned with, as `read_reference` has it. Raises UserError."""
    from imaging.contents import refuse_changed
    from imaging.reference.files import read_reference

    path = Path(config["imported"]["path"])
    found = read_reference(path)
    refuse_changed(path, config["imported"]["sha256"])
    found.refuse_another(config["features"])
    return found
