"""Metrics of generated images, as functions on arrays of features (N, D). Cheap to import: torch waits for use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adm.evaluation.extrapolation import FrechetInfinity, frechet_distance_infinity
from adm.evaluation.feature_arrays import CollapsedSamples, FeatureError
from adm.evaluation.frechet import FewSamples, frechet_distance
from adm.evaluation.inception_score import inception_score
from adm.evaluation.jackknife import Interval, Replicates, frechet_difference_interval, frechet_interval
from adm.evaluation.kid import KernelDistance, kid, kid_with_standard_error
from adm.evaluation.moments import Gaussian, Moments
from adm.evaluation.neighbours import Neighbours, nearest_neighbours
from adm.evaluation.precision_recall import PrecisionRecall, precision_recall

if TYPE_CHECKING:
    from adm.evaluation.inception import InceptionFeatures, InceptionV3

__all__ = [
    "CollapsedSamples",
    "FeatureError",
    "FewSamples",
    "FrechetInfinity",
    "Gaussian",
    "InceptionFeatures",
    "InceptionV3",
    "Interval",
    "KernelDistance",
    "Moments",
    "Neighbours",
    "PrecisionRecall",
    "Replicates",
    "frechet_difference_interval",
    "frechet_distance",
    "frechet_distance_infinity",
    "frechet_interval",
    "inception_score",
    "kid",
    "kid_with_standard_error",
    "nearest_neighbours",
    "precision_recall",
]


def __getattr__(name: str) -> Any:
    if name in ("InceptionFeatures", "InceptionV3"):
        from adm.evaluation import inception

        return getattr(inception, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
