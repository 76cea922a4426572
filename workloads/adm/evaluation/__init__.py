"""Metrics of generated images, as functions on arrays of features (N, D). Cheap to import: torch waits for use."""

from adm.evaluation.feature_arrays import FeatureError
from adm.evaluation.frechet import FewSamples, frechet_distance
from adm.evaluation.moments import Gaussian, Moments
from adm.evaluation.neighbours import Neighbours, nearest_neighbours
from adm.evaluation.precision_recall import PrecisionRecall, precision_recall

__all__ = [
    "FeatureError",
    "FewSamples",
    "Gaussian",
    "Moments",
    "Neighbours",
    "PrecisionRecall",
    "frechet_distance",
    "nearest_neighbours",
    "precision_recall",
]
