"""The jackknife and Student's t, against their textbook forms."""

from __future__ import annotations

import math
from statistics import fmean, stdev

import numpy as np
import pytest

from assay.statistics import jackknife_error, jackknife_unbiased, student_t


def test_a_bias_that_falls_as_one_over_n_cancels_whatever_the_sizes() -> None:
    sizes = [3, 4, 5]
    left_out = [1.5 + 3 / (sum(sizes) - size) for size in sizes]
    assert jackknife_unbiased(1.5 + 3 / sum(sizes), left_out, sizes) == pytest.approx(1.5)


def test_the_jackknife_of_a_mean_is_its_standard_error() -> None:
    values = [0.3, 1.7, 2.9, 0.1, 4.0]
    left_out = [fmean(values[:i] + values[i + 1 :]) for i in range(len(values))]
    assert jackknife_error(fmean(values), left_out, [1] * 5) == pytest.approx(stdev(values) / math.sqrt(5))


def test_unequal_blocks_weigh_by_their_size() -> None:
    """Of a mean, the jackknife is Σ n_g² (mean_g − mean)² / (N (N − n_g)) / G …, and a bias b/N must not show."""
    rng = np.random.default_rng(3)
    sizes = np.array([5.0, 9, 20, 14, 7])
    total, means = sizes.sum(), rng.standard_normal(5)
    mean = means @ sizes / total
    left_out = (total * mean - sizes * means) / (total - sizes)
    plain = jackknife_error(mean, left_out, sizes) ** 2
    assert plain == pytest.approx(np.mean(np.square(means - mean) / (total / sizes - 1)))
    biased = jackknife_error(mean + 8 / total, left_out + 8 / (total - sizes), sizes) ** 2
    assert biased == pytest.approx(plain, rel=1e-10)


def test_large_numbers_do_not_overflow() -> None:
    assert jackknife_error(0.0, [1e200, -1e200, 0.0], [1, 1, 1]) == pytest.approx(math.sqrt(4 / 3) * 1e200)


@pytest.mark.parametrize(("freedom", "level", "expected"), [(1, 0.95, 12.706), (19, 0.95, 2.093), (1e9, 0.9, 1.645)])
def test_student_t_is_the_table_s(freedom: float, level: float, expected: float) -> None:
    assert student_t(freedom, level) == pytest.approx(expected, abs=1e-3)
