"""Confidence intervals of metrics and of differences: by the jackknife over blocks of samples, or over seeds.

The jackknife measures sampling noise alone; seeds also measure the noise of training.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from assay.statistics import jackknife_error, jackknife_unbiased, student_t
from assay.store import StoredResult
from assay.workload import JACKKNIFE
from assay.workload.contract import replicates


@dataclass(frozen=True)
class Estimate:
    """A metric's value with its jackknife replicates, if there are any."""

    value: float
    replicates: tuple[float, ...] = ()
    sizes: tuple[int, ...] = ()
    """The number of samples in the block that each replicate leaves out; empty if they are equal."""

    @property
    def half_width(self) -> float | None:
        """Half the width of the 95% interval for sampling noise; None if unknown."""
        return self.half_width_at(0.95)

    def half_width_at(self, level: float) -> float | None:
        error = self.error
        return None if error is None else _finite(student_t(len(self.replicates) - 1, level) * error)

    @property
    def unbiased(self) -> float:
        """The value without the bias b/N that the jackknife finds; the value itself without replicates."""
        if self.error is None:
            return self.value
        return jackknife_unbiased(self.value, self.replicates, self.sizes or (1,) * len(self.replicates))

    @property
    def error(self) -> float | None:
        """The jackknife's standard error; None with fewer than two replicates, or if any is not finite."""
        blocks = len(self.replicates)
        return (
            None if blocks < 2 else _finite(jackknife_error(self.value, self.replicates, self.sizes or (1,) * blocks))
        )


@dataclass(frozen=True)
class Difference:
    """The difference from the best. `noise` is half the width of its interval, 95% unless told, None if unknown."""

    value: float
    noise: float | None = None

    @property
    def is_beyond_noise(self) -> bool | None:
        return None if self.noise is None else abs(self.value) > self.noise


def read_estimates(leaf: StoredResult) -> dict[str, Estimate]:
    """Every metric of a trial's last stage."""
    blocks: Mapping[str, tuple[tuple[float, ...], tuple[int, ...]]] = {}
    if JACKKNIFE in leaf.file_bytes:
        try:
            blocks = replicates(leaf.file(JACKKNIFE).read_text(encoding="utf-8"))
        except ValueError:
            blocks = {}  # results of older versions may have a malformed file: metrics without intervals
    return {name: Estimate(value, *blocks.get(name, ((), ()))) for name, value in leaf.metrics.items()}


def difference(ours: Estimate, best: Estimate, level: float = 0.95) -> Difference:
    """The difference of two arms by their replicates: paired if they have the same blocks, else as independent."""
    value = ours.value - best.value
    if len(ours.replicates) == len(best.replicates) and ours.sizes == best.sizes:
        paired = tuple(a - b for a, b in zip(ours.replicates, best.replicates, strict=True))
        return Difference(value, Estimate(value, paired, ours.sizes).half_width_at(level))
    if ours.error is None or best.error is None:
        return Difference(value)
    return _welch(value, (ours.error, best.error), (len(ours.replicates) - 1, len(best.replicates) - 1), level)


def half_width_over_seeds(values: list[float]) -> float | None:
    """Half the width of the 95% interval of the values' mean; None for one value."""
    return None if len(values) < 2 else student_t(len(values) - 1) * stdev(values) / math.sqrt(len(values))


def difference_over_seeds(ours: Mapping[int, float], best: Mapping[int, float]) -> Difference | None:
    """The mean difference of two arms, each given by seed, over the seeds that both have; None if there are none.

    Seeds of one arm alone are ignored: a seed that is hard for both would otherwise look like a difference.
    """
    gaps = [ours[seed] - best[seed] for seed in ours if seed in best]
    return Difference(fmean(gaps), half_width_over_seeds(gaps)) if gaps else None


def _welch(value: float, errors: Sequence[float], freedoms: Sequence[int], level: float) -> Difference:
    """The difference of independent estimates, by standard errors and degrees of freedom (Welch-Satterthwaite)."""
    whole = math.hypot(*errors)
    if whole == 0:
        return Difference(value, 0.0)
    shares = [(error / whole) ** 2 for error in errors]
    freedom = 1 / sum(share**2 / n for share, n in zip(shares, freedoms, strict=True))
    return Difference(value, _finite(student_t(freedom, level) * whole))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
