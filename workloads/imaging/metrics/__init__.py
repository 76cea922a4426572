"""The registry of metrics of generated images, which are functions on arrays of features (N, D).

Imports neither NumPy nor torch. Another package adds a metric by an entry point in the group "imaging.metrics" that
names a `Metric`; trials report it if evaluate.metrics lists it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from assay.registry import Registry
from imaging.extractors import FEATURES, LOGITS, SPATIAL


@dataclass(frozen=True)
class Metric:
    """The facts about a metric."""

    body: str
    """Import path of a function of a `Comparison` that returns values by name: floats, or `Replicates`, which give an
    interval."""
    reports: tuple[str, ...] = ()
    """The names of its values, in which "{distance}" is the name of the Fréchet distance. Empty: the metric's name."""
    replicated: tuple[str, ...] = ()
    """Those of its values that are `Replicates` if there are enough samples, named as in `reports`."""
    columns: tuple[str, ...] = (FEATURES,)
    """Columns of features that it needs."""
    against: Literal["nothing", "statistics", "images"] = "images"
    """The part of the reference that it needs. Statistics are of FEATURES and SPATIAL; a file of them may have no
    images."""
    extractor: str | None = None
    """The only extractor in whose features it is defined, which reports it without being asked; None: any."""
    version: int = 1
    """Increase it when the same samples get other values: it is in the keys of stages."""


Arithmetic = Literal["float32", "float16"]
"""How precision and recall compute distances; see `imaging.metrics.precision_recall`."""
METRICS: Registry[Metric] = Registry("metric", "imaging.metrics")
METRICS.register(
    "frechet",
    Metric("imaging.metrics.trial:frechet", reports=("{distance}",), replicated=("{distance}",), against="statistics"),
)
METRICS.register(
    "spatial_frechet",
    Metric(
        "imaging.metrics.trial:spatial_frechet",
        reports=("s{distance}",),
        replicated=("s{distance}",),
        columns=(SPATIAL,),
        against="statistics",
    ),
)
METRICS.register(
    "inception_score", Metric("imaging.metrics.trial:inception_score", columns=(LOGITS,), against="nothing")
)
METRICS.register(
    "precision_recall",
    Metric("imaging.metrics.trial:precision_recall", reports=("precision", "recall"), replicated=("precision",)),
)
METRICS.register("kid", Metric("imaging.metrics.trial:kid", replicated=("kid",)))
STANDARD = ("frechet", "spatial_frechet", "inception_score", "precision_recall", "kid")
"""Metrics that every trial reports if its extractor and reference allow it."""
INFINITY = "frechet_infinity"
METRICS.register(
    INFINITY,
    Metric(
        "imaging.metrics.trial:frechet_infinity",
        reports=("{distance}_infinity",),
        replicated=("{distance}_infinity",),
        against="statistics",
    ),
)
DENSITY_COVERAGE = "density_coverage"
METRICS.register(
    DENSITY_COVERAGE,
    Metric(
        "imaging.metrics.trial:density_coverage",
        reports=("density", "coverage"),
        replicated=("density", "coverage"),
    ),
)
METRICS.register("authpct", Metric("imaging.metrics.trial:authpct", replicated=("authpct",)))
METRICS.register("cmmd", Metric("imaging.metrics.trial:cmmd", replicated=("cmmd",), extractor="clip"))
