"""FID∞: the Fréchet distance at infinitely many samples.

Chong and Forsyth (2020), "Effectively unbiased FID and Inception Score and where to find them",
https://arxiv.org/abs/1911.07023: the expected distance is F∞ + b/N up to 1/N², where b differs between models, so that
rankings at equal N can be wrong. A line through distances at several N, as a function of 1/N, has the intercept F∞.

Differences to the paper: it draws 15 random subsets of the features; here the samples are divided at random into 1, 2
and 3 parts, and a point is the mean over its parts. Every point uses every sample, so to first order all points share
their noise, and the slope does not amplify it. The moments of a part are sums of block moments, so the cost is 6
distances (and 3 per block for the standard error) for any N.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from assay.statistics import jackknife_error
from imaging.metrics.feature_arrays import FeatureError
from imaging.metrics.frechet import frechet_between_gaussians, gaussian_of
from imaging.metrics.moments import Gaussian, Moments


class FrechetInfinity(NamedTuple):
    """F∞, its standard error, the slope b, the fitted points (1/N, mean distance), largest N first, and F∞ without each
    block."""

    value: float
    standard_error: float
    slope: float
    points: tuple[tuple[float, float], ...]
    left_out: tuple[float, ...]


def frechet_distance_infinity(
    reference: npt.ArrayLike | Moments | Gaussian, blocks: Sequence[Moments], *, max_parts: int = 3, seed: int = 0
) -> FrechetInfinity:
    """The Fréchet distance extrapolated to infinitely many samples, from blocks of samples (`Moments.blocks`).

    `seed` determines which blocks form a part. The value may be negative if the model is as good as the reference. Only
    the samples' bias is removed; the bias of the reference's own size remains, and is the same for all models.

    The remaining bias, as a share of the plain distance's, was measured on features of known distance with D
    eigenvalues 1/i (tests/bench/coverage.py): −6% to +4% at N = 10 D. At N = 2.5 D, where a part has fewer rows than
    features, the points do not lie on a line: −33%, and value ± t SE may contain F∞ in only 64 of 100 cases.

    Raises:
        FeatureError: as `frechet_distance`, max_parts < 2, or fewer than 2 blocks per part.

    Warns:
        FewSamples: as `frechet_distance`, for the smallest part.
    """
    if max_parts < 2:
        raise FeatureError(f"max_parts must be at least 2 to fit a line; got {max_parts}")
    if len(blocks) < 2 * max_parts:
        raise FeatureError(f"{max_parts} parts need at least {2 * max_parts} blocks of samples; got {len(blocks)}")
    first = gaussian_of(reference, "reference")
    gaussian_of(Moments.combine(blocks), "samples")  # raises and warns
    order = np.random.default_rng(seed).permutation(len(blocks))
    cuts = [_Cut.of(first, blocks, np.array_split(order, parts)) for parts in range(1, max_parts + 1)]
    gaussian_of(min(cuts[-1].moments, key=lambda part: part.n), "samples of one part")  # raises and warns
    points = [cut.point for cut in cuts]
    value, slope = line_through(points)
    left_out = [
        line_through([cut.leaving_out(first, index, block).point for cut in cuts])[0]
        for index, block in enumerate(blocks)
    ]
    error = jackknife_error(value, left_out, [block.n for block in blocks])
    return FrechetInfinity(value, error, slope, tuple(points), tuple(left_out))


def line_through(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Intercept F∞ and slope b of the least-squares line F∞ + b x through points (x = 1/N, distance)."""
    x, distances = np.array(points).T
    deviations = x - x.mean()
    slope = float(deviations @ distances / (deviations @ deviations))
    return float(distances.mean() - slope * x.mean()), slope


@dataclass(frozen=True)
class _Cut:
    """The samples divided into P parts: the part of each block, (G,); moments and distance of each part, (P,)."""

    part_of: npt.NDArray[np.intp]
    moments: list[Moments]
    distances: list[float]

    @classmethod
    def of(cls, reference: Gaussian, blocks: Sequence[Moments], parts: list[npt.NDArray[np.int64]]) -> _Cut:
        part_of = np.empty(len(blocks), dtype=np.intp)
        for index, part in enumerate(parts):
            part_of[part] = index
        moments = [Moments.combine(blocks[index] for index in np.sort(part)) for part in parts]
        return cls(part_of, moments, [_distance(reference, part) for part in moments])

    @property
    def point(self) -> tuple[float, float]:
        """(mean of 1/N, mean distance) over the parts."""
        return float(np.mean([1 / part.n for part in self.moments])), float(np.mean(self.distances))

    def leaving_out(self, reference: Gaussian, index: int, block: Moments) -> _Cut:
        """The same division without block `index`. Costs one distance."""
        moments, distances, part = self.moments.copy(), self.distances.copy(), self.part_of[index]
        moments[part] = moments[part].without(block)
        distances[part] = _distance(reference, moments[part])
        return _Cut(self.part_of, moments, distances)


def _distance(reference: Gaussian, part: Moments) -> float:
    # Not part.gaussian, which would keep its covariance in memory.
    return frechet_between_gaussians(reference, Gaussian(part.mean, part.cov))
