"""What would fail an evaluation only after the trainings: looked at where it will run, before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from adm import data
from adm.evaluation import inception_weights
from adm.evaluation.image_faults import NUM_LOOKED_AT, fault_of
from assay.errors import UserError

if TYPE_CHECKING:
    from adm.evaluation.reference_npz import Reference


def reference(config: Mapping[str, Any]) -> None:
    """The data can be read, and its first images are images. Raises UserError."""
    data.check(config)
    source = data.open_source(data.data_config(config["data"]), config["image_size"], config["channels"])
    first = source.read(np.arange(min(NUM_LOOKED_AT, len(source)))).images
    if fault := fault_of(first):
        raise UserError(f"{config['data']['path']}: the first {len(first)} images {fault}")


def statistics(config: Mapping[str, Any]) -> None:
    """Inception's weights are here, and an imported file is a reference made by them. Raises UserError."""
    inception_weights.planned(config["inception"])
    if config["imported"] is not None:
        imported_reference(config)


def imported_reference(config: Mapping[str, Any]) -> Reference:
    """The reference file that a stage was planned with, as `read_reference` has it. Raises UserError."""
    from adm.evaluation.inception_weights import sha256_of
    from adm.evaluation.reference_npz import read_reference

    path = Path(config["imported"]["path"])
    found = read_reference(path)
    if sha256_of(path) != config["imported"]["sha256"]:
        raise UserError(f"{path} is not the reference that this was planned with: it has changed. Run again")
    found.refuse_another(config["features"])
    return found
