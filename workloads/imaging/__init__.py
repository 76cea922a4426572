"""What image workloads share: real images, feature extractors, metrics of generated images, and the stages that
evaluate samples.

Metrics are functions on arrays of features (N, D). NumPy and torch are imported only when something here is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imaging.extractors.inception import InceptionFeatures, InceptionV3
    from imaging.metrics.authpct import authpct
    from imaging.metrics.cmmd import cmmd
    from imaging.metrics.density_coverage import DensityCoverage, density_coverage
    from imaging.metrics.extrapolation import FrechetInfinity, frechet_distance_infinity
    from imaging.metrics.feature_arrays import CollapsedSamples, FeatureError
    from imaging.metrics.frechet import FewSamples, frechet_distance
    from imaging.metrics.inception_score import inception_score
    from imaging.metrics.jackknife import Interval, Replicates, frechet_difference_interval, frechet_interval
    from imaging.metrics.kid import KernelDistance, kid, kid_with_standard_error
    from imaging.metrics.moments import Gaussian, Moments
    from imaging.metrics.neighbours import Neighbours, nearest_neighbours
    from imaging.metrics.precision_recall import PrecisionRecall, precision_recall

__all__ = [
    "CollapsedSamples",
    "DensityCoverage",
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
    "authpct",
    "cmmd",
    "density_coverage",
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

_MODULES = {
    **dict.fromkeys(("InceptionFeatures", "InceptionV3"), "imaging.extractors.inception"),
    **dict.fromkeys(("authpct",), "imaging.metrics.authpct"),
    **dict.fromkeys(("cmmd",), "imaging.metrics.cmmd"),
    **dict.fromkeys(("DensityCoverage", "density_coverage"), "imaging.metrics.density_coverage"),
    **dict.fromkeys(("FrechetInfinity", "frechet_distance_infinity"), "imaging.metrics.extrapolation"),
    **dict.fromkeys(("CollapsedSamples", "FeatureError"), "imaging.metrics.feature_arrays"),
    **dict.fromkeys(("FewSamples", "frechet_distance"), "imaging.metrics.frechet"),
    **dict.fromkeys(("inception_score",), "imaging.metrics.inception_score"),
    **dict.fromkeys(
        ("Interval", "Replicates", "frechet_difference_interval", "frechet_interval"), "imaging.metrics.jackknife"
    ),
    **dict.fromkeys(("KernelDistance", "kid", "kid_with_standard_error"), "imaging.metrics.kid"),
    **dict.fromkeys(("Gaussian", "Moments"), "imaging.metrics.moments"),
    **dict.fromkeys(("Neighbours", "nearest_neighbours"), "imaging.metrics.neighbours"),
    **dict.fromkeys(("PrecisionRecall", "precision_recall"), "imaging.metrics.precision_recall"),
}
"""Public name → its module."""


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
