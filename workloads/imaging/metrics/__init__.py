"""Metrics of generated images: functions on arrays of features (N, D), and by name what a trial reports.

The facts alone are here, so neither NumPy nor torch. Another package adds a metric by an entry point of the group
"imaging.metrics" that names a `Metric`; trials report it where evaluate.metrics asks for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from assay.registry import Registry
from imaging.extractors import FEATURES, LOGITS, SPATIAL


@dataclass(frozen=True)
class Metric:
    """What the rest needs to know of a metric."""

    body: str
    """Import path of a function of a `Comparison` that returns values by name: a float, or `Replicates`, which make an
    interval."""
    reports: tuple[str, ...] = ()
    """The names of its values: "{distance}" is what the Fréchet distance in the features is called. Empty: its own."""
    columns: tuple[str, ...] = (FEATURES,)
    """Columns that the extractor must give."""
    against: Literal["nothing", "statistics", "images"] = "images"
    """What of the reference it looks at. Statistics are of FEATURES and SPATIAL; a file of them may have no images."""
    version: int = 1
    """Raise it when the same samples get other values: it is in the keys of stages."""


METRICS: Registry[Metric] = Registry("metric", "imaging.metrics")
METRICS.register("frechet", Metric("imaging.metrics.trial:frechet", reports=("{distance}",), against="statistics"))
METRICS.register(
    "spatial_frechet",
    Metric("imaging.metrics.trial:spatial_frechet", reports=("s{distance}",), columns=(SPATIAL,), against="statistics"),
)
METRICS.register(
    "inception_score", Metric("imaging.metrics.trial:inception_score", columns=(LOGITS,), against="nothing")
)
METRICS.register("precision_recall", Metric("imaging.metrics.trial:precision_recall", reports=("precision", "recall")))
METRICS.register("kid", Metric("imaging.metrics.trial:kid"))
STANDARD = ("frechet", "spatial_frechet", "inception_score", "precision_recall", "kid")
"""Metrics that every trial reports whose extractor and reference allow it."""
INFINITY = "frechet_infinity"
METRICS.register(
    INFINITY,
    Metric("imaging.metrics.trial:frechet_infinity", reports=("{distance}_infinity",), against="statistics"),
)
