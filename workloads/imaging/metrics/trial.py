"""The metrics of a trial's samples: what they are computed from, and how each of ours is.

Fréchet distances get replicates, and so an interval, where there are more samples than features by a block: below, the
distance is mostly bias. Recall gets none: without a block the balls of all other samples change.
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
from imaging.metrics import inception_score as score
from imaging.metrics.extrapolation import frechet_distance_infinity
from imaging.metrics.feature_arrays import CollapsedSamples, checked_features
from imaging.metrics.frechet import FewSamples, frechet_distance
from imaging.metrics.jackknife import NUM_BLOCKS, Replicates, frechet_replicates, index_blocks
from imaging.metrics.kid import kid_leaving_out, kid_with_standard_error
from imaging.metrics.moments import Gaussian, Moments
from imaging.metrics.neighbours import DEFAULT_MAX_BYTES
from imaging.metrics.precision_recall import manifold_hits

Features = npt.NDArray[np.float32]
Values = Mapping[str, float | Replicates]


class Columns(Protocol):
    def __call__(self, column: str, /) -> Features:
        """A column of features (N, D) by its name."""


@dataclass
class Comparison:
    """Samples and what they are compared with, read as a metric asks for it."""

    column: Columns
    """Every column of the extractor, for the samples."""
    reference_column: Columns
    """Columns of the images that stand for the reference. Not to be called where the reference is statistics alone."""
    statistics: Mapping[str, Gaussian]
    """The moments of the whole reference, by column: FEATURES, and SPATIAL where there are any."""
    distance: str = "fd"
    """What the Fréchet distance is called."""
    precision_recall_k: int = 3
    device: str = "cpu"
    max_bytes: int = DEFAULT_MAX_BYTES
    """Bounds the working memory of what compares features with features."""
    num_blocks: int = NUM_BLOCKS
    """Blocks of the jackknife; 0: no replicates, and so no intervals."""
    _moments: dict[str, list[Moments]] = field(default_factory=dict)

    @cached_property
    def samples(self) -> Features:
        """FEATURES of the samples, (N, D)."""
        return self.column(FEATURES)

    @cached_property
    def reference(self) -> Features:
        """FEATURES of the images that stand for the reference, (M, D)."""
        return self.reference_column(FEATURES)

    @cached_property
    def blocks(self) -> list[npt.NDArray[np.int64]]:
        """Rows of the samples that a jackknife leaves out, block by block; empty where there are too few samples."""
        return index_blocks(len(self.samples), self.num_blocks) if len(self.samples) >= self.num_blocks > 0 else []

    @property
    def sizes(self) -> npt.NDArray[np.float64]:
        """Rows of each block, (G,)."""
        return np.array([len(rows) for rows in self.blocks], dtype=np.float64)

    def moments(self, column: str, features: Features) -> list[Moments]:
        """Moments of each block of a column. In 2048 dimensions a block takes 32 MiB."""
        if column not in self._moments:
            self._moments[column] = [Moments.of(features[rows]) for rows in self.blocks]
        return self._moments[column]


def measured(comparison: Comparison, bodies: Iterable[str]) -> Values:
    """Values of metrics, whose functions are named by import path. Raises and warns as the functions do, of few samples
    and of collapsed ones once."""
    values: dict[str, float | Replicates] = {}
    with warnings.catch_warnings():
        for body in bodies:
            values |= load_attribute(body)(comparison)
            for said in (FewSamples, CollapsedSamples):
                warnings.simplefilter("ignore", said)
    return values


def frechet(c: Comparison) -> Values:
    return {c.distance: _distance(c, FEATURES, c.samples)}


def spatial_frechet(c: Comparison) -> Values:
    return {f"s{c.distance}": _distance(c, SPATIAL, c.column(SPATIAL))}


def _distance(c: Comparison, column: str, features: Features) -> float | Replicates:
    """The replicates cost a distance a block, whatever N is. Warns as `frechet_distance` does."""
    checked_features(features, "samples", at_least=2)
    if c.blocks and len(features) - c.sizes.max() > features.shape[1]:
        return frechet_replicates(c.statistics[column], c.moments(column, features))
    return frechet_distance(c.statistics[column], features)


def frechet_infinity(c: Comparison) -> Values:
    """The Fréchet distance, extrapolated to infinitely many samples."""
    found = frechet_distance_infinity(c.statistics[FEATURES], c.moments(FEATURES, c.samples))
    return {f"{c.distance}_infinity": Replicates(found.value, np.array(found.left_out), c.sizes)}


def inception_score(c: Comparison) -> Values:
    return {"inception_score": score.inception_score(c.column(LOGITS))}


def precision_recall(c: Comparison) -> Values:
    hits = manifold_hits(c.reference, c.samples, c.precision_recall_k, device=c.device, max_bytes=c.max_bytes)
    inside = hits.samples.astype(np.float64)
    left_out = np.array([np.delete(inside, rows).mean() for rows in c.blocks])
    return {
        "precision": Replicates(float(inside.mean()), left_out, c.sizes),
        "recall": float(hits.reference.mean()),
    }


def kid(c: Comparison) -> Values:
    """kid_low and kid_high are of the samples' noise, with the reference as given, as all intervals here; kid_se counts
    the noise of the reference as well."""
    if not c.blocks:
        found = kid_with_standard_error(c.reference, c.samples, max_bytes=c.max_bytes)
        return {"kid": found.kid, "kid_se": found.standard_error}
    found, left_out = kid_leaving_out(c.reference, c.samples, c.blocks, max_bytes=c.max_bytes)
    return {"kid": Replicates(found.kid, left_out, c.sizes), "kid_se": found.standard_error}


def flattened(values: Values) -> tuple[dict[str, float], dict[str, Replicates]]:
    """Metrics by name; and their replicates, where there are any.

    Such a metric also has <name>_low and <name>_high, the ends of a 95% interval for its expectation at this number of
    samples.
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
