"""Checks the labels of a data set."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from assay.errors import UserError
from imaging.data.types import Labels


def checked_labels(found: npt.NDArray[Any] | None, count: int, classes: int | None, where: str) -> Labels:
    """int64 (count,) labels, all 0 where there are none. `classes` is how many the model has; None: any number.

    Raises UserError for labels that are missing though the model has classes, are not one integer per image, or are
    outside 0 to classes − 1; `where` says in messages where they come from.
    """
    if found is None:
        if classes is not None and classes > 1:
            raise UserError(
                f"the model has {classes} classes, but the data has no labels; use data with labels, or a model "
                f"without classes (model.num_classes null): {where}"
            )
        return np.zeros(count, dtype=np.int64)
    if found.dtype.kind not in "iu":
        raise UserError(f"{where}: labels must be integers from 0; got {found.dtype}")
    if found.shape != (count,):
        raise UserError(f"{where}: there must be one label per image, shape ({count},); got {found.shape}")
    labels = found.astype(np.int64)
    if classes is None:
        return labels
    if labels.min() < 0:
        image = int(np.argmin(labels))
        raise UserError(f"{where}: label {labels[image]} of image {image} is negative; allowed: 0 to {classes - 1}")
    needed = int(labels.max()) + 1
    if needed > classes:
        raise UserError(
            f"{where}: the data has {needed} classes, but the model has {classes}: image {int(np.argmax(labels))} "
            f"has label {needed - 1}, allowed: 0 to {classes - 1}; set the model's number of classes to {needed}, "
            "or correct the labels"
        )
    return labels
