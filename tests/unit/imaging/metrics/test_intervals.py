"""Intervals hold as often as they say, from block moments alone; FID∞ loses the bias.

tests/bench/coverage.py measures both on more features.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from imaging import (
    CollapsedSamples,
    FeatureError,
    FewSamples,
    Gaussian,
    Moments,
    frechet_difference_interval,
    frechet_distance,
    frechet_distance_infinity,
    frechet_interval,
)
from imaging.metrics.extrapolation import line_through
from imaging.metrics.jackknife import frechet_replicates, index_blocks

Array = npt.NDArray[Any]
DIM = 6
REFERENCE = Gaussian(np.zeros(DIM), np.diag([3.0, 1, 0.5, 0.5, 0.2, 0.1]))


def features(seed: int, n: int = 300, shift: float = 0.1, scale: float = 0.8) -> Array:
    """Skewed: absolute values, as after a ReLU. The distance to REFERENCE is known, `true_distance`."""
    noise = (abs(np.random.default_rng(seed).standard_normal((n, DIM))) - np.sqrt(2 / np.pi)) / np.sqrt(1 - 2 / np.pi)
    return noise * np.sqrt(np.diag(REFERENCE.cov)) * scale + shift


def true_distance(shift: float = 0.1, scale: float = 0.8) -> float:
    return DIM * shift**2 + float(np.trace(REFERENCE.cov)) * (1 - scale) ** 2


def test_blocks_cover_the_rows_once_in_order_and_evenly() -> None:
    array = features(0, n=107)
    blocks = Moments.blocks(array, 10)
    assert sorted({block.n for block in blocks}) == [10, 11]
    np.testing.assert_allclose(blocks[0].mean, array[: blocks[0].n].mean(axis=0))
    whole = Moments.combine(blocks)
    assert whole.n == 107
    np.testing.assert_allclose(whole.cov, np.cov(array, rowvar=False), rtol=1e-10, atol=1e-12)


def test_leaving_a_block_out_undoes_its_merging() -> None:
    array = features(0, n=90) + 1e3
    blocks = Moments.blocks(array, 9)
    rest = Moments.combine(blocks).without(blocks[4])
    kept = np.delete(array, np.s_[40:50], axis=0)
    assert rest.n == 80
    np.testing.assert_allclose(rest.mean, kept.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(rest.cov, np.cov(kept, rowvar=False), rtol=1e-9, atol=1e-10)
    with pytest.raises(FeatureError, match="cannot leave 10 rows of features out of 10"):
        blocks[0].without(blocks[1])


def test_the_interval_is_the_jackknife_of_the_distance() -> None:
    """Against its definition, with the rows of each block taken out of the features."""
    array = features(1, n=120)
    left_out = [frechet_distance(REFERENCE, np.delete(array, np.s_[i : i + 10], axis=0)) for i in range(0, 120, 10)]
    interval = frechet_interval(REFERENCE, Moments.blocks(array, 12))
    assert interval.value == pytest.approx(frechet_distance(REFERENCE, array), rel=1e-10)
    assert interval.standard_error == pytest.approx(np.sqrt(11 * np.var(left_out)), rel=1e-6)
    assert interval.high - interval.value == pytest.approx(2.2009852 * interval.standard_error)  # t, 11 degrees
    assert interval.value - interval.low == pytest.approx(interval.high - interval.value)


def test_where_samples_are_many_it_is_the_linearised_error() -> None:
    """With T the optimal map between covariances, row μ + x has the influence 2 (μ − μ_r)·x + xᵀ (I − T) x."""
    array = features(2, n=40_000)
    mean, cov = array.mean(axis=0), np.cov(array, rowvar=False)
    root = np.sqrt(np.diag(REFERENCE.cov))
    eigenvalues, vectors = np.linalg.eigh(root[:, None] * cov * root)
    basis = root[:, None] * vectors
    derivative = np.eye(DIM) - (basis / np.sqrt(eigenvalues)) @ basis.T
    centred = array - mean
    influence = 2 * centred @ mean + np.einsum("ij,jk,ik->i", centred, derivative, centred)
    blocks = influence.reshape(200, 200).mean(axis=1)
    interval = frechet_interval(REFERENCE, Moments.blocks(array, 200))
    assert interval.standard_error == pytest.approx(blocks.std(ddof=1) / np.sqrt(200), rel=5e-3)


@pytest.mark.slow
def test_intervals_cover_what_they_say() -> None:
    """The expectation at this N, 95 times in 100; the paired difference too, and more narrowly than without pairing."""
    single, paired, errors = [], [], []
    for seed in range(150):
        shared = features(seed, n=200)
        first, second = (
            Moments.blocks(array, 20) for array in (shared, shared * 0.98 + features(seed + 9999, 200) * 0.1)
        )
        single.append(frechet_interval(REFERENCE, first))
        paired.append(frechet_difference_interval(REFERENCE, first, second))
        errors.append(np.hypot(single[-1].standard_error, frechet_interval(REFERENCE, second).standard_error))
    for intervals in (single, paired):
        values, _, low, high, _ = np.array(intervals).T
        coverage = np.mean((low <= values.mean()) & (values.mean() <= high))
        assert 0.9 <= coverage <= 0.995
    values, paired_errors = np.array(paired).T[:2]
    assert paired_errors.mean() == pytest.approx(values.std(ddof=1), rel=0.2)
    assert np.mean(errors) > 1.5 * paired_errors.mean()


def test_arms_that_are_the_same_differ_by_nothing() -> None:
    blocks = Moments.blocks(features(4))
    assert frechet_difference_interval(REFERENCE, blocks, blocks)[:4] == (0.0, 0.0, 0.0, 0.0)


def test_collapsed_samples_have_a_distance_that_is_sure() -> None:
    with pytest.warns(CollapsedSamples, match="samples: all 60 rows of features are the same"):
        interval = frechet_interval(REFERENCE, Moments.blocks(np.full((60, DIM), 0.1), 6))
    assert interval.value == pytest.approx(DIM * 0.1**2 + np.trace(REFERENCE.cov))
    assert interval.standard_error == pytest.approx(0, abs=1e-12)


def test_replicates_of_two_arms_give_the_interval_of_their_difference() -> None:
    """From files alone, without features."""
    first, second = (Moments.blocks(features(seed), 20) for seed in (10, 11))
    a, b = frechet_replicates(REFERENCE, first), frechet_replicates(REFERENCE, second)
    expected = frechet_difference_interval(REFERENCE, first, second)
    differences = a.left_out - b.left_out
    error = np.sqrt(19 / 20 * np.square(differences - differences.mean()).sum())
    assert error == pytest.approx(expected.standard_error)
    assert a.interval() == frechet_interval(REFERENCE, first)


@pytest.mark.parametrize(("num_rows", "num_classes"), [(20, 1), (107, 1), (1000, 10), (1000, 200), (5000, 1000)])
def test_index_blocks_hold_every_row_once_and_classes_evenly(num_rows: int, num_classes: int) -> None:
    blocks = index_blocks(num_rows)
    assert sorted(np.concatenate(blocks).tolist()) == list(range(num_rows))
    assert {len(block) for block in blocks} <= {num_rows // 20, -(-num_rows // 20)}
    for block in blocks:
        # No quarter of the classes has more than its share of a block by more than a tenth of the block and a row.
        quarters = np.bincount(4 * (block % num_classes) // num_classes, minlength=4)[: min(4, num_classes)]
        assert quarters.max() <= len(block) * max(1 / num_classes, 0.25) + 0.1 * len(block) + 1


def test_classes_in_turn_do_not_widen_intervals_much() -> None:
    """Fewer images a block than classes, and classes far apart: blocks that are runs would make it 4 times as wide."""
    num_classes, num_rows = 200, 1000
    centres = np.sort(np.random.default_rng(0).standard_normal((num_classes, 1)), axis=0) * np.linspace(2, 1, DIM)
    blocks, intervals = index_blocks(num_rows), []
    for seed in range(60):
        noise = np.random.default_rng(seed).standard_normal((num_rows, DIM))
        rows = centres[np.arange(num_rows) % num_classes] + noise
        intervals.append(frechet_interval(REFERENCE, [Moments.of(rows[block]) for block in blocks]))
    values, errors = np.array(intervals).T[:2]
    assert 0.9 <= errors.mean() / values.std(ddof=1) <= 2


def test_infinity_loses_the_bias_and_says_how_sure_it_is() -> None:
    plain, infinite = [], []
    for seed in range(100):
        blocks = Moments.blocks(features(seed, n=150), 12)
        infinite.append(frechet_distance_infinity(REFERENCE, blocks))
        plain.append(infinite[-1].points[0][1])
    values, errors = np.array([result[:2] for result in infinite]).T
    true = true_distance()
    bias = np.mean(plain) - true
    assert bias > 0.03
    assert abs(values.mean() - true) < 0.2 * bias
    assert np.mean(abs(values - true) <= 2.2 * errors) >= 0.9


def test_the_points_of_infinity_are_means_over_parts() -> None:
    array = features(5, n=240)
    result = frechet_distance_infinity(REFERENCE, Moments.blocks(array, 12), seed=3)
    order = np.random.default_rng(3).permutation(12)
    rows = array.reshape(12, 20, DIM)
    for parts, (inverse, distance) in enumerate(result.points, start=1):
        assert inverse == pytest.approx(parts / 240)
        sets = [rows[part].reshape(-1, DIM) for part in np.split(order, parts)]
        assert distance == pytest.approx(np.mean([frechet_distance(REFERENCE, part) for part in sets]), rel=1e-9)
    assert (result.value, result.slope) == pytest.approx(line_through(result.points))
    assert result == frechet_distance_infinity(REFERENCE, Moments.blocks(array, 12), seed=3)
    assert result.value != frechet_distance_infinity(REFERENCE, Moments.blocks(array, 12), seed=4).value


def test_a_line_is_fitted_by_least_squares() -> None:
    assert line_through([(1.0, 5.0), (2.0, 7.0), (3.0, 9.0)]) == pytest.approx((3.0, 2.0))
    points = [(0.1, 3.0), (0.2, 2.5), (0.4, 4.0)]
    assert line_through(points) == pytest.approx(tuple(np.polyfit(*np.array(points).T, 1)[::-1]))


def test_what_cannot_be_done_is_refused() -> None:
    blocks = Moments.blocks(features(6), 6)
    with pytest.raises(FeatureError, match="at least 2 blocks of samples to leave one out; got 1"):
        frechet_interval(REFERENCE, blocks[:1])
    with pytest.raises(FeatureError, match=r"between 0 and 1, as 0\.95 is; got 95"):
        frechet_interval(REFERENCE, blocks, level=95)
    with pytest.raises(FeatureError, match="paired arms need equal blocks; got 6 of 300 rows in all and 5 of 250"):
        frechet_difference_interval(REFERENCE, blocks, blocks[:5])
    with pytest.raises(FeatureError, match="3 parts need at least 6 blocks of samples; got 5"):
        frechet_distance_infinity(REFERENCE, blocks[:5])
    with pytest.raises(FeatureError, match="max_parts must be at least 2"):
        frechet_distance_infinity(REFERENCE, blocks, max_parts=1)
    with pytest.raises(FeatureError, match="num_blocks must be at least 1; got 0"):
        Moments.blocks(features(6), 0)
    with pytest.raises(FeatureError, match="at least 24 rows of features, one per image; got 9"):
        Moments.blocks(features(6, n=9))
    with pytest.raises(FeatureError, match="20 blocks need at least that many rows of features, one per image; got 19"):
        index_blocks(19)


@pytest.mark.parametrize("of", [frechet_interval, frechet_distance_infinity])
def test_features_of_two_extractors_are_refused(of: Any) -> None:
    with pytest.raises(FeatureError, match="reference has 6 features per image and samples have 5"):
        of(REFERENCE, Moments.blocks(features(7)[:, :5]))


def test_too_few_samples_warn_where_the_user_called() -> None:
    blocks = Moments.blocks(features(8, n=15), 6)
    with pytest.warns(FewSamples, match=r"samples of one part: 5 samples for 6 features") as caught:
        frechet_distance_infinity(REFERENCE, blocks)
    assert [warning.filename for warning in caught] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frechet_interval(REFERENCE, blocks)
