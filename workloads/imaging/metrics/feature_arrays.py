"""Validation of arrays of features.

Every metric takes features as an array (N, D), where row i belongs to image i. Only this module checks them.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from assay.errors import AssayWarning, UserError

FloatArray: TypeAlias = npt.NDArray[np.floating[Any]]
Float64Array: TypeAlias = npt.NDArray[np.float64]


class FeatureError(UserError):
    """An array of features is invalid. A ValueError."""


class CollapsedSamples(AssayWarning):
    """All samples have the same features. Metrics are still defined: the covariance and the recall are 0."""


def checked_features(features: npt.ArrayLike, name: str, *, at_least: int = 1) -> FloatArray:
    """Return `features` (N, D) as a floating-point array, or raise an error that says what is wrong.

    float32 and float64 are not copied; float16 becomes float32, integers become float64. `name` is the array's name in
    messages, `at_least` the minimal number of rows.

    Raises:
        FeatureError: not numbers, not two-dimensional, no columns, too few rows, or NaN or infinity anywhere.
    """
    array = np.asarray(features)
    if array.dtype.kind not in "fiu":
        raise FeatureError(f"{name}: features must be real numbers; got dtype {array.dtype}")
    if array.ndim != 2:
        raise FeatureError(
            f"{name}: features must have two dimensions, (N, D); got shape {array.shape}. "
            "Flatten what belongs to one image into one row"
        )
    if array.shape[1] == 0:
        raise FeatureError(f"{name}: features must have at least one column; got shape {array.shape}")
    if len(array) < at_least:
        raise FeatureError(f"{name}: needs at least {at_least} rows of features, one per image; got {len(array)}")
    if array.dtype.kind in "iu":
        array = array.astype(np.float64)
    elif array.dtype == np.float16:
        array = array.astype(np.float32)
    elif array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    _refuse_non_finite(array, name)
    return array


def checked_pair(
    reference: npt.ArrayLike, samples: npt.ArrayLike, *, at_least: int = 2
) -> tuple[FloatArray, FloatArray]:
    """Return reference (N, D) and samples (M, D), both checked. Call it in the function that the user calls, whose
    caller the warning names.

    Raises:
        FeatureError: as `checked_features`, the two have different D, or all rows of the reference are the same.

    Warns:
        CollapsedSamples: all rows of the samples are the same.
    """
    first = checked_features(reference, "reference", at_least=at_least)
    second = checked_features(samples, "samples", at_least=at_least)
    refuse_different_dims(first.shape[1], second.shape[1])
    if _is_constant(first):
        refuse_or_warn_of_constant("reference", len(first))
    if _is_constant(second):
        refuse_or_warn_of_constant("samples", len(second))
    return first, second


def refuse_different_dims(reference_dim: int, samples_dim: int) -> None:
    """Raise FeatureError unless both sides have as many features."""
    if reference_dim != samples_dim:
        raise FeatureError(
            f"reference has {reference_dim} features per image and samples have {samples_dim}: "
            "both must come from the same extractor"
        )


def refuse_or_warn_of_constant(name: str, num_rows: int) -> None:
    """Report that all rows are the same: an error for the "reference", which must be a mistake, and the warning
    CollapsedSamples for samples, since a model may collapse."""
    message = (
        f"{name}: all {num_rows} rows of features are the same. Look at the images: the sampler or the data repeats "
        "one image, or the extractor ignores its input"
    )
    if name == "reference":
        raise FeatureError(message)
    warnings.warn(message, CollapsedSamples, stacklevel=4)


def _is_constant(array: FloatArray) -> bool:
    return all((array[rows] == array[0]).all() for rows in row_blocks(len(array), 4096))


def row_blocks(num_rows: int, rows_per_block: int) -> Iterator[slice]:
    """Yield slices that cover range(num_rows) in order, each of `rows_per_block` rows but the last."""
    step = max(1, rows_per_block)
    for start in range(0, num_rows, step):
        yield slice(start, min(start + step, num_rows))


def _refuse_non_finite(array: FloatArray, name: str) -> None:
    for rows in row_blocks(len(array), 4096):
        bad = ~np.isfinite(array[rows]).all(axis=1)
        if bad.any():
            first = rows.start + int(np.argmax(bad))
            raise FeatureError(
                f"{name}: features must be finite; row {first} holds NaN or infinity. "
                "Look at that image, and at the precision the extractor ran in"
            )
