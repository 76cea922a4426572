"""The metrics of a trial's samples, as functions of a `Comparison`.

Fréchet distances have replicates, and so an interval, if the samples without a block are more than the features; with
fewer, the distance is mostly bias. Recall has none: leaving out a block changes the balls of all other samples.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

from assay.workload import load_attribute
from imaging.extractors import FEATURES, LOGITS, SPATIAL
from imaging.metrics import Arithmetic
from imaging.metrics import inception_score as score
from imaging.metrics.authpct import is_authentic
from imaging.metrics.cmmd import cmmd_leaving_out
from imaging.metrics.density_coverage import DEFAULT_K, ball_counts
from imaging.metrics.extrapolation import frechet_distance_infinity
from imaging.metrics.feature_arrays import CollapsedSamples, FeatureError, Float64Array, checked_features, checked_pair
from imaging.metrics.frechet import FewSamples, frechet_distance
from imaging.metrics.jackknife import NUM_BLOCKS, Replicates, frechet_replicates, index_blocks
from imaging.metrics.kid import kid_leaving_out
from imaging.metrics.moments import Gaussian, Moments
from imaging.metrics.neighbours import DEFAULT_MAX_BYTES, Neighbours, nearest_neighbours, squared_radii_of
from imaging.metrics.precision_recall import manifold_hits

Features = npt.NDArray[np.float32]
Values = Mapping[str, float | Replicates]


class Columns(Protocol):
    def __call__(self, column: str, /) -> Features:
        """A column of features (N, D) by its name."""


@dataclass
class Comparison:
    """Samples and the reference that they are compared with. Features are read when a metric uses them."""

    column: Columns
    """Reads a column of the samples."""
    reference_column: Columns
    """Reads a column of the images that represent the reference. Not called if the reference has only statistics."""
    statistics: Mapping[str, Gaussian]
    """Mean and covariance of the whole reference, by column: FEATURES, and SPATIAL if there are any."""
    distance: str = "fd"
    """The name of the Fréchet distance."""
    precision_recall_k: int = 3
    precision_recall_arithmetic: Arithmetic = "float32"
    density_coverage_k: int = DEFAULT_K
    device: str = "cpu"
    max_bytes: int = DEFAULT_MAX_BYTES
    """Bounds the working memory of metrics that compare features pairwise."""
    num_blocks: int = NUM_BLOCKS
    """Blocks of the jackknife; 0: no replicates, and so no intervals."""
    _moments: dict[str, list[Moments]] = field(default_factory=dict)

    @cached_property
    def samples(self) -> Features:
        """FEATURES of the samples, (N, D)."""
        return self.column(FEATURES)

    @cached_property
    def reference(self) -> Features:
        """FEATURES of the images that represent the reference, (M, D)."""
        return self.reference_column(FEATURES)

    def radii(self, k: int) -> Float64Array:
        """Squared distance (M,) from each reference to its k-th nearest other one. Neighbours are searched once, for
        all metrics. Raises FeatureError for no more than k references."""
        if not 1 <= k < len(self.reference):
            raise FeatureError(f"k must be at least 1 and less than the {len(self.reference)} references; got {k}")
        return squared_radii_of(self.reference, self._reference_neighbours, k, self.max_bytes)

    @cached_property
    def _reference_neighbours(self) -> Neighbours:
        reference, most = self.reference, max(self.precision_recall_k, self.density_coverage_k)
        k = min(most + 1, len(reference))
        return nearest_neighbours(reference, reference, k, max_bytes=self.max_bytes, device=self.device)

    @cached_property
    def blocks(self) -> list[npt.NDArray[np.int64]]:
        """The rows of each block of the jackknife; empty if there are too few samples."""
        return index_blocks(len(self.samples), self.num_blocks) if len(self.samples) >= self.num_blocks > 0 else []

    @property
    def sizes(self) -> npt.NDArray[np.float64]:
        """Number of rows of each block, (G,)."""
        return np.array([len(rows) for rows in self.blocks], dtype=np.float64)

    def moments(self, column: str, features: Features) -> list[Moments]:
        """Moments of each block of a column. In 2048 dimensions a block takes 32 MiB."""
        if column not in self._moments:
            self._moments[column] = [Moments.of(features[rows]) for rows in self.blocks]
        return self._moments[column]


def measured(comparison: Comparison, bodies: Iterable[str]) -> Values:
    """Values of metrics, whose functions are given by import path. Raises and warns as they do, but warns only once
    about few samples and collapsed samples."""
    values: dict[str, float | Replicates] = {}
    with warnings.catch_warnings():
        for body in bodies:
            values |= load_attribute(body)(comparison)
            for category in (FewSamples, CollapsedSamples):
                warnings.simplefilter("ignore", category)
    return values


def frechet(c: Comparison) -> Values:
    return {c.distance: _distance(c, FEATURES, c.samples)}


def spatial_frechet(c: Comparison) -> Values:
    return {f"s{c.distance}": _distance(c, SPATIAL, c.column(SPATIAL))}


def _distance(c: Comparison, column: str, features: Features) -> float | Replicates:
    """Replicates cost one distance per block, for any N. Warns as `frechet_distance`."""
    checked_features(features, "samples", at_least=2)
    if c.blocks and len(features) - c.sizes.max() > features.shape[1]:
        return frechet_replicates(c.statistics[column], c.moments(column, features))
    return frechet_distance(c.statistics[column], features)


def frechet_infinity(c: Comparison) -> Values:
    """The Fréchet distance, extrapolated to infinitely many samples."""
    infinity = frechet_distance_infinity(c.statistics[FEATURES], c.moments(FEATURES, c.samples))
    return {f"{c.distance}_infinity": Replicates(infinity.value, np.array(infinity.left_out), c.sizes)}


def inception_score(c: Comparison) -> Values:
    return {"inception_score": score.inception_score(c.column(LOGITS))}


def precision_recall(c: Comparison) -> Values:
    hits = manifold_hits(
        c.reference,
        c.samples,
        c.precision_recall_k,
        arithmetic=c.precision_recall_arithmetic,
        reference_radii=c.radii(c.precision_recall_k) if c.precision_recall_arithmetic == "float32" else None,
        device=c.device,
        max_bytes=c.max_bytes,
    )
    return {"precision": _share(c, hits.samples), "recall": float(hits.reference.mean())}


def _share(c: Comparison, hits: npt.NDArray[np.bool_], scale: float = 1.0) -> Replicates:
    """The share of samples that something holds of, times `scale`."""
    values = scale * hits.astype(np.float64)
    return Replicates(float(values.mean()), np.array([np.delete(values, rows).mean() for rows in c.blocks]), c.sizes)


def density_coverage(c: Comparison) -> Values:
    reference, samples = checked_pair(c.reference, c.samples)
    k, blocks = c.density_coverage_k, c.blocks or [np.arange(len(samples))]
    counts = ball_counts(reference, samples, blocks, k, radii=c.radii(k), max_bytes=c.max_bytes, device=c.device)
    left_out = np.array(counts.left_out if c.blocks else []).reshape(-1, 2)
    return {
        name: Replicates(value, left_out[:, index], c.sizes)
        for index, (name, value) in enumerate(counts.value._asdict().items())
    }


def authpct(c: Comparison) -> Values:
    reference, samples = checked_pair(c.reference, c.samples)
    authentic = is_authentic(reference, samples, radii=c.radii(1), max_bytes=c.max_bytes, device=c.device)
    return {"authpct": _share(c, authentic, scale=100)}


def cmmd(c: Comparison) -> Values:
    value, left_out = cmmd_leaving_out(c.reference, c.samples, c.blocks, max_bytes=c.max_bytes)
    return {"cmmd": Replicates(value, left_out, c.sizes)}


def kid(c: Comparison) -> Values:
    """kid_low and kid_high cover the samples' noise alone, as all intervals here; kid_se includes the reference's."""
    distance, left_out = kid_leaving_out(c.reference, c.samples, c.blocks, max_bytes=c.max_bytes)
    return {"kid": Replicates(distance.kid, left_out, c.sizes), "kid_se": distance.standard_error}


def flattened(values: Values) -> tuple[dict[str, float], dict[str, Replicates]]:
    """Metrics by name, and the replicates of those that have some.

    For these, the metrics include <name>_low and <name>_high, the ends of a 95% interval for the expectation at this
    number of samples.
    """
    metrics: dict[str, float] = {}
    replicates: dict[str, Replicates] = {}
    for name, value in values.items():
        if not isinstance(value, Replicates):
            metrics[name] = value
            continue
        metrics[name] = value.value
        if len(value.left_out):
            replicates[name] = value
            _, _, metrics[f"{name}_low"], metrics[f"{name}_high"], _ = value.interval()
    return metrics, replicates
