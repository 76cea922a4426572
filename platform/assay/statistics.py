"""Confidence intervals: the delete-a-block jackknife, and Student's t."""

from __future__ import annotations

import math
from collections.abc import Sequence


def jackknife_error(value: float, left_out: Sequence[float], sizes: Sequence[float]) -> float:
    """The standard error √(1/G Σ (p_g − Σ p_g / h_g)² / (h_g − 1)) of an estimate θ = `value`.

    `left_out` are the estimates θ₋g without block g, for G ≥ 2 blocks; `sizes` are the numbers of samples n_g per
    block. h_g = N / n_g, and the pseudo-values are p_g = h_g θ − (h_g − 1) θ₋g, in which a bias b/N cancels for any
    sizes. Equal sizes give the textbook √((G − 1)/G Σ (θ₋g − mean θ₋)²). Busing, Meijer and van der Leeden (1999),
    "Delete-m jackknife for unequal m", https://doi.org/10.1023/A:1008800423698.

    >>> round(jackknife_error(2.0, [2.5, 2.0, 1.5], [1, 1, 1]), 4)  # the mean of 1, 2 and 3
    0.5774
    """
    shares, pseudo, centre = _pseudo_values(value, left_out, sizes)
    distances = ((p - centre) / math.sqrt(h - 1) for p, h in zip(pseudo, shares, strict=True))
    return math.hypot(*distances) / math.sqrt(len(pseudo))  # hypot: the square of a large number may be too large


def jackknife_unbiased(value: float, left_out: Sequence[float], sizes: Sequence[float]) -> float:
    """The estimate Σ p_g / h_g, in which a bias b/N cancels; arguments and symbols as for `jackknife_error`.

    >>> jackknife_unbiased(2.5, [3.0, 3.0, 3.0], [1, 1, 1])  # 1.5 + 3/N, of N = 3 and of 2
    1.5
    """
    return _pseudo_values(value, left_out, sizes)[2]


def _pseudo_values(
    value: float, left_out: Sequence[float], sizes: Sequence[float]
) -> tuple[list[float], list[float], float]:
    """The h_g, the p_g, and Σ p_g / h_g."""
    total = math.fsum(sizes)
    shares = [total / size for size in sizes]
    pseudo = [h * value - (h - 1) * without for h, without in zip(shares, left_out, strict=True)]
    return shares, pseudo, sum(p / h for p, h in zip(pseudo, shares, strict=True))


def student_t(freedom: float, level: float = 0.95) -> float:
    """Half the width, in standard errors, of a two-sided interval at this level of confidence.

    `freedom`: the degrees of freedom, any number above 0.

    >>> round(student_t(19), 3)
    2.093
    """
    from scipy.special import stdtrit  # lazy: a table without intervals needs no SciPy

    return float(stdtrit(freedom, (1 + level) / 2))
