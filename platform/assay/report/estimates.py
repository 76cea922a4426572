"""How sure a number is, and a difference of two: by leaving out blocks of samples, or by the spread over seeds.

The first knows of sampling noise alone; the second also of what training again would change.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev, variance
from typing import Any

from assay.store import StoredResult
from assay.workload import JACKKNIFE


@dataclass(frozen=True)
class Estimate:
    """A metric's value with its jackknife replicates, where there are any."""

    value: float
    replicates: tuple[float, ...] = ()
    sizes: tuple[int, ...] = ()
    """How many samples each block has that a replicate leaves out; none: equally many."""

    @property
    def half_width(self) -> float | None:
        """Of the 95% interval of sampling noise; None when it is not known."""
        error = self.error
        return None if error is None else _student_95(len(self.replicates) - 1) * error

    @property
    def error(self) -> float | None:
        """√(1/B Σ (p_b − Σ p_b / h_b)² / (h_b − 1)), with h_b = N / n_b and p_b = h_b θ − (h_b − 1) θ₋b.

        The delete-a-block jackknife for blocks of any size (Busing, Meijer and van der Leeden 1999); with equal ones it
        is √((B − 1)/B Σ (θ₋b − mean θ₋)²).
        """
        blocks = len(self.replicates)
        if blocks < 2 or not all(math.isfinite(r) for r in self.replicates):
            return None
        sizes = self.sizes or (1,) * blocks
        shares = [sum(sizes) / size for size in sizes]
        pseudo = [h * self.value - (h - 1) * r for h, r in zip(shares, self.replicates, strict=True)]
        centre = sum(p / h for p, h in zip(pseudo, shares, strict=True))
        return math.sqrt(fmean((p - centre) ** 2 / (h - 1) for p, h in zip(pseudo, shares, strict=True)))


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
    left_out: Mapping[str, Mapping[str, Any]] = {}
    if JACKKNIFE in leaf.files:
        left_out = json.loads(leaf.file(JACKKNIFE).read_text())
    return {name: _estimate(value, left_out.get(name, {})) for name, value in leaf.metrics.items()}


def _estimate(value: float, said: Mapping[str, Any]) -> Estimate:
    return Estimate(value, tuple(said.get("replicates", ())), tuple(said.get("sizes", ())))


def difference(ours: Estimate, best: Estimate) -> Difference:
    """Of two arms by their replicates: block by block where blocks are the same, as independent ones otherwise."""
    value = ours.value - best.value
    if len(ours.replicates) == len(best.replicates) and ours.sizes == best.sizes:
        paired = tuple(a - b for a, b in zip(ours.replicates, best.replicates, strict=True))
        return Difference(value, Estimate(value, paired, ours.sizes).half_width)
    if ours.error is None or best.error is None:
        return Difference(value)
    return _welch(value, (ours.error**2, best.error**2), (len(ours.replicates) - 1, len(best.replicates) - 1))


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
    return _welch(value, squares, [len(arm) - 1 for arm in (ours, best)])


def _welch(value: float, squares: Sequence[float], freedoms: Sequence[int]) -> Difference:
    """Of two independent estimates, by their squared standard errors and degrees of freedom (Welch, Satterthwaite)."""
    if sum(squares) == 0:
        return Difference(value, 0.0)
    freedom = sum(squares) ** 2 / sum(square**2 / n for square, n in zip(squares, freedoms, strict=True))
    return Difference(value, _student_95(freedom) * math.sqrt(sum(squares)))


def _student_95(freedom: float) -> float:
    from scipy.special import stdtrit  # here, so that a table without intervals is printed without SciPy

    return float(stdtrit(freedom, 0.975))
