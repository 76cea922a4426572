"""Confidence intervals for Fréchet distances, by a jackknife over blocks of samples.

An interval here is for the expectation of the distance *at its own N*, with the given reference: the average over other
sets of N samples from the same model. It does not cover the bias of that expectation (see `extrapolation`), nor the
variation between training runs.

We use the delete-a-block jackknife, and compute the distance anew for each block. The expected distance is
F∞ + b/N + …; leaving out a block of n_g rows raises it by b/(N − n_g) − b/N. If all blocks are equal, this is a
constant that does not affect the spread of the left-out values; otherwise, pseudo-values weighted by N/n_g cancel it
(`assay.statistics.jackknife_error`). Two cheaper alternatives are worse:

- Linearisation by the derivative in the moments (Rippl, Munk and Sturm 2016, "Limit laws of the empirical Wasserstein
  distance: Gaussian distributions", https://arxiv.org/abs/1507.04090) needs no eigenvalues per block. It agrees for
  N ≫ D, but its 95% intervals cover 91% at N = 2.5 D, and with heavy tails at N = 10 D. The exact ones, paired or not,
  cover at least 93% in every case measured (tests/bench/coverage.py; the table is in RESULTS.md beside it).
- Distances of single blocks: N/G rows are fewer than D, where the distance is almost entirely bias.

Blocks are sets of indices, the same in all arms with the same number of samples (`index_blocks`). So the difference of
two arms is computed block by block from their left-out values alone, and the noise that they share cancels.

If the model is close to the data, the derivative vanishes and the jackknife is conservative (it counts the second-order
variance twice; Efron and Stein 1981, "The jackknife estimate of variance"): intervals are too wide, not too narrow.
Legend: N samples in G blocks, block g of n_g rows; D features.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from assay.statistics import jackknife_error, student_t
from imaging.metrics.feature_arrays import FeatureError, Float64Array
from imaging.metrics.frechet import frechet_between_gaussians, gaussian_of
from imaging.metrics.moments import Gaussian, Moments

NUM_BLOCKS = 20
"""Number of blocks of a trial's samples. It divides the usual numbers of samples, and limits the cost of an interval to
20 Fréchet distances."""
GOLDEN_RATIO = (np.sqrt(5) - 1) / 2


class Interval(NamedTuple):
    """An estimate, its standard error, and the ends of the confidence interval for its expectation at `level`."""

    value: float
    standard_error: float
    low: float
    high: float
    level: float


class Replicates(NamedTuple):
    """An estimate; the estimates without block g, (G,); and the number of rows n_g of each block, (G,)."""

    value: float
    left_out: Float64Array
    sizes: Float64Array

    def interval(self, level: float = 0.95) -> Interval:
        """value ± t SE, where t is the quantile of Student's distribution with G − 1 degrees of freedom.

        Centred on the value itself, not on the mean of the pseudo-values, which estimates F∞. Raises FeatureError for a
        level that is not between 0 and 1.
        """
        _check_level(level)
        error = jackknife_error(self.value, self.left_out.tolist(), self.sizes.tolist())
        half_width = student_t(len(self.left_out) - 1, level) * error
        return Interval(self.value, error, self.value - half_width, self.value + half_width, level)


def index_blocks(num_rows: int, num_blocks: int = NUM_BLOCKS) -> list[npt.NDArray[np.int64]]:
    """The rows of each block, in order: a function of the number of rows alone. Sizes are equal to within one row.

    Sample i may have class i mod C. Blocks of fewer than C consecutive rows would have different classes, and intervals
    would be several times too wide; multiples of the golden ratio mod 1 distribute every run of rows evenly over the
    blocks. Raises FeatureError for fewer rows than blocks.
    """
    if num_rows < num_blocks:
        raise FeatureError(
            f"{num_blocks} blocks need at least that many rows of features, one per image; got {num_rows}"
        )
    rows = np.argsort(np.arange(num_rows) * GOLDEN_RATIO % 1, kind="stable")
    return [np.sort(block) for block in np.array_split(rows, num_blocks)]


def frechet_replicates(reference: npt.ArrayLike | Moments | Gaussian, blocks: Sequence[Moments]) -> Replicates:
    """The Fréchet distance of all blocks of samples together, and without each. Raises and warns as `frechet_interval`.

    Beyond the blocks, one pair of moments is in memory at a time.
    """
    if len(blocks) < 2:
        raise FeatureError(f"an interval needs at least 2 blocks of samples to leave one out; got {len(blocks)}")
    total = Moments.combine(blocks)
    first, second = gaussian_of(reference, "reference"), gaussian_of(total, "samples")
    left_out = [frechet_between_gaussians(first, total.without(block).gaussian) for block in blocks]
    sizes = np.array([block.n for block in blocks], dtype=np.float64)
    return Replicates(frechet_between_gaussians(first, second), np.array(left_out), sizes)


def frechet_interval(
    reference: npt.ArrayLike | Moments | Gaussian, blocks: Sequence[Moments], level: float = 0.95
) -> Interval:
    """The Fréchet distance of all blocks of samples together, and an interval for its expectation at this N.

    `blocks` are exchangeable parts of the samples (`Moments.blocks`); with 20 or more, the t quantile is close to the
    normal one. Costs one distance per block: in 2048 dimensions with 24 blocks, 24 times 0.7 s.

    Raises:
        FeatureError: as `frechet_distance`, fewer than 2 blocks, or a level not between 0 and 1.

    Warns:
        FewSamples: as `frechet_distance`.
    """
    _check_level(level)
    return frechet_replicates(reference, blocks).interval(level)


def frechet_difference_interval(
    reference: npt.ArrayLike | Moments | Gaussian,
    blocks_a: Sequence[Moments],
    blocks_b: Sequence[Moments],
    level: float = 0.95,
) -> Interval:
    """Distance of arm a minus that of arm b, and an interval for its expectation at this N. Negative if a is nearer.

    The arms are paired: row i of both has the same noise (and label), so block g is left out of both together, and the
    noise that they share cancels. For arms that share nothing, the interval is as wide and as valid as an unpaired one.

    Raises:
        FeatureError: as `frechet_interval`, or the blocks of the two arms differ in number or size.

    Warns:
        FewSamples: as `frechet_distance`, once per arm.
    """
    _check_level(level)
    sizes_a, sizes_b = ([block.n for block in blocks] for blocks in (blocks_a, blocks_b))
    if sizes_a != sizes_b:
        raise FeatureError(
            f"paired arms need equal blocks; got {len(sizes_a)} of {sum(sizes_a)} rows in all and {len(sizes_b)} of "
            f"{sum(sizes_b)}. Use the images with the same indices in both"
        )
    first = gaussian_of(reference, "reference")
    a, b = (frechet_replicates(first, blocks) for blocks in (blocks_a, blocks_b))
    return Replicates(a.value - b.value, a.left_out - b.left_out, a.sizes).interval(level)


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise FeatureError(f"level must be between 0 and 1, as 0.95 is; got {level}")
