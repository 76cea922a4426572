"""How sure a number is, and a difference of two: by leaving out blocks of samples, or by the spread over seeds.

The first knows of sampling noise alone; the second also of what training again would change.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean, stdev, variance

from assay.store import StoredResult
from assay.workload import JACKKNIFE

NORMAL_95 = 1.96
"""Standard errors on either side that hold 95% of a normal distribution."""


@dataclass(frozen=True)
class Estimate:
    """A metric's value with its jackknife replicates, where there are any."""

    value: float
    replicates: tuple[float, ...] = ()

    @property
    def half_width(self) -> float | None:
        """Of the 95% interval of sampling noise; None when it is not known."""
        error = _jackknife_error(self.replicates)
        return None if error is None else NORMAL_95 * error


@dataclass(frozen=True)
class Difference:
    """From the best. `noise` is the half width of the 95% interval of the difference itself, None when unknown."""

    value: float
    noise: float | None = None

    @property
    def is_beyond_noise(self) -> bool | None:
        return None if self.noise is None else abs(self.value) > self.noise


def read_estimates(leaf: StoredResult) -> dict[str, Estimate]:
    """Every metric of a trial's last stage."""
    replicates: Mapping[str, Mapping[str, list[float]]] = {}
    if JACKKNIFE in leaf.files:
        replicates = json.loads(leaf.file(JACKKNIFE).read_text())
    return {
        name: Estimate(value, tuple(replicates[name]["replicates"]) if name in replicates else ())
        for name, value in leaf.metrics.items()
    }


def difference(ours: Estimate, best: Estimate) -> Difference:
    """Of two arms by their replicates: block by block where both have as many, as independent ones otherwise."""
    value = ours.value - best.value
    if len(ours.replicates) == len(best.replicates):
        error = _jackknife_error([a - b for a, b in zip(ours.replicates, best.replicates, strict=True)])
    else:
        errors = [_jackknife_error(estimate.replicates) for estimate in (ours, best)]
        known = [error for error in errors if error is not None]
        error = math.hypot(*known) if len(known) == len(errors) else None
    return Difference(value, None if error is None else NORMAL_95 * error)


def _jackknife_error(replicates: list[float] | tuple[float, ...]) -> float | None:
    """√((B−1)/B · Σ(r_b − r̄)²)"""
    if len(replicates) < 2 or not all(math.isfinite(r) for r in replicates):
        return None
    blocks = len(replicates)
    return math.sqrt((blocks - 1) ** 2 / blocks * variance(replicates))


def half_width_over_seeds(values: list[float]) -> float | None:
    """Of the 95% interval of the mean of a few values; None for one."""
    return None if len(values) < 2 else _student_95(len(values) - 1) * stdev(values) / math.sqrt(len(values))


def difference_over_seeds(ours: Mapping[int, float], best: Mapping[int, float]) -> Difference:
    """Of two arms' means, each given by seed: seed by seed where both have the same, by Welch's test otherwise."""
    value = fmean(ours.values()) - fmean(best.values())
    if ours.keys() == best.keys():
        return Difference(value, half_width_over_seeds([ours[seed] - best[seed] for seed in ours]))
    if len(ours) < 2 or len(best) < 2:
        return Difference(value)
    squares = [variance(arm.values()) / len(arm) for arm in (ours, best)]
    if sum(squares) == 0:
        return Difference(value, 0.0)
    freedom = sum(squares) ** 2 / sum(s**2 / (len(arm) - 1) for s, arm in zip(squares, (ours, best), strict=True))
    return Difference(value, _student_95(freedom) * math.sqrt(sum(squares)))


def _student_95(freedom: float) -> float:
    from scipy.special import stdtrit  # here, so that a table without seeds is printed without SciPy

    return float(stdtrit(freedom, 0.975))
