"""How sure a Fréchet distance is: intervals by leaving out one block of samples after another.

An interval here is for the expectation of the distance *at its own N*, with the reference as given: what another N
samples of the same model would show on average. It says nothing of the bias of that expectation (`extrapolation` does),
nor of what another training run would give.

Why the delete-a-block jackknife, with the distance computed anew each time. The expectation of the distance is
F∞ + b/N + …; leaving out a block of n_g rows raises it by b/(N − n_g) − b/N. Where all blocks are equal this is one
constant, which the spread of the left-out values does not see; where they are not, pseudo-values weighted by N/n_g
cancel it (`assay.statistics.jackknife_error`). Two cheaper forms are not taken:

- Linearised: by the derivative in the moments (Rippl, Munk and Sturm 2016, "Limit laws of the empirical Wasserstein
  distance: Gaussian distributions", https://arxiv.org/abs/1507.04090) a block costs no eigenvalues. It agrees where
  N ≫ D, but its 95% intervals cover 91% at N = 2.5 D, and with heavy tails at N = 10 D. The exact ones, paired or not,
  cover 93% or more in every case measured (tests/bench/coverage.py, with its table in RESULTS.md beside it).
- Distances of the blocks themselves: N/G rows are fewer than D, where the distance is all bias.

Blocks are of indices, and the same in every arm of as many samples (`index_blocks`): so the difference of two arms is
taken block by block, and what they share cancels, from their left-out values alone.

Near model = data the derivative vanishes and the jackknife is conservative (it counts the variance of the second order
twice; Efron and Stein 1981, "The jackknife estimate of variance"): intervals are too wide there, not too narrow.
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
"""Blocks that samples of a trial are cut into. They divide the usual numbers of samples, and bound what the intervals
of a Fréchet distance cost: 20 distances, whatever N is."""
GOLDEN_RATIO = (np.sqrt(5) - 1) / 2


class Interval(NamedTuple):
    """An estimate, its standard error, and the ends of the interval that covers its expectation at `level`."""

    value: float
    standard_error: float
    low: float
    high: float
    level: float


class Replicates(NamedTuple):
    """An estimate; the same without block g, (G,); and the rows n_g of each block, (G,)."""

    value: float
    left_out: Float64Array
    sizes: Float64Array

    def interval(self, level: float = 0.95) -> Interval:
        """value ± t SE with t the quantile of Student's distribution on G − 1 degrees of freedom.

        Centred on the value itself, not on the mean of the pseudo-values, which estimates F∞. FeatureError for a level
        not between 0 and 1.
        """
        _check_level(level)
        error = jackknife_error(self.value, self.left_out.tolist(), self.sizes.tolist())
        reach = student_t(len(self.left_out) - 1, level) * error
        return Interval(self.value, error, self.value - reach, self.value + reach, level)


def index_blocks(num_rows: int, num_blocks: int = NUM_BLOCKS) -> list[npt.NDArray[np.int64]]:
    """Which rows (in order) each block has, by nothing but how many there are; sizes are equal to within one row.

    Sample i may be of class i mod C. Blocks that are runs of fewer than C rows would each hold other classes, and
    intervals be several times too wide; multiples of the golden ratio mod 1 spread every run evenly over the blocks.
    Raises FeatureError for fewer rows than blocks.
    """
    if num_rows < num_blocks:
        raise FeatureError(f"{num_blocks} blocks need as many rows of features, one an image; got {num_rows}")
    rows = np.argsort(np.arange(num_rows) * GOLDEN_RATIO % 1, kind="stable")
    return [np.sort(block) for block in np.array_split(rows, num_blocks)]


def frechet_replicates(reference: npt.ArrayLike | Moments | Gaussian, blocks: Sequence[Moments]) -> Replicates:
    """The Fréchet distance of all blocks of samples together, and without each. Raises and warns as `frechet_interval`.

    One pair of moments is held at a time, beyond the blocks.
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

    `blocks` are exchangeable parts of the samples, as `Moments.blocks` cuts them; 20 or more give a t quantile near
    the normal one. Costs a distance a block: in 2048 dimensions and 24 blocks, 24 times 0.7 s.

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
    """Distance of arm a less that of arm b, and an interval for its expectation at this N. Below 0, a is nearer.

    The arms are paired: row i of both comes from the same noise (and label), so block g of both is left out together
    and what the arms share cancels. Arms that share nothing get an interval as wide as an unpaired one, and as valid.

    Raises:
        FeatureError: as `frechet_interval`, or the blocks of the two arms differ in number or size.

    Warns:
        FewSamples: as `frechet_distance`, once an arm.
    """
    _check_level(level)
    sizes_a, sizes_b = ([block.n for block in blocks] for blocks in (blocks_a, blocks_b))
    if sizes_a != sizes_b:
        raise FeatureError(
            f"paired arms need equal blocks; got {len(sizes_a)} of {sum(sizes_a)} rows in all and {len(sizes_b)} of "
            f"{sum(sizes_b)}. Take the same images, by index, of both"
        )
    first = gaussian_of(reference, "reference")
    a, b = (frechet_replicates(first, blocks) for blocks in (blocks_a, blocks_b))
    return Replicates(a.value - b.value, a.left_out - b.left_out, a.sizes).interval(level)


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise FeatureError(f"level must be between 0 and 1, as 0.95 is; got {level}")
