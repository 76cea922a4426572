"""Moments merge to those of the whole, however it was cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imaging import FeatureError, Gaussian, Moments, frechet_distance
from imaging.metrics import moments as moments_file

FEATURES = np.random.default_rng(0).standard_normal((60, 5)) * [1, 10, 0.1, 1, 3] + [0, 1e4, -5, 0, 1]


@given(cuts=st.lists(st.integers(1, 59), max_size=8, unique=True))
@settings(max_examples=40, deadline=None)
def test_blocks_of_any_size_merge_to_the_whole(cuts: list[int]) -> None:
    merged = Moments.combine(Moments.of(block) for block in np.split(FEATURES, sorted(cuts)))
    assert merged.n == 60
    np.testing.assert_allclose(merged.mean, FEATURES.mean(axis=0), rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(merged.cov, np.cov(FEATURES, rowvar=False), rtol=1e-10, atol=1e-10)


def test_internal_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Moments.of(FEATURES)
    monkeypatch.setattr(moments_file, "_ROWS_PER_BLOCK", 7)
    np.testing.assert_allclose(Moments.of(FEATURES).cov, whole.cov, rtol=1e-10, atol=1e-10)


def test_equal_blocks_in_the_same_order_give_equal_bits() -> None:
    blocks = np.split(FEATURES, 4)
    first, second = (Moments.combine(map(Moments.of, blocks)) for _ in range(2))
    assert first.mean.tobytes() == second.mean.tobytes()
    assert first.m2.tobytes() == second.m2.tobytes()


def test_float32_features_far_from_zero_keep_their_covariance() -> None:
    features = (np.random.default_rng(1).standard_normal((500, 3)) + 1000).astype(np.float32)
    np.testing.assert_allclose(Moments.of(features).cov, np.cov(features.astype(float), rowvar=False), rtol=1e-10)


def test_a_single_row_has_moments_and_no_covariance() -> None:
    one = Moments.of(FEATURES[:1])
    assert one.n == 1
    np.testing.assert_array_equal(one.m2, np.zeros((5, 5)))
    with pytest.raises(FeatureError, match="at least 2 rows of features; got 1"):
        _ = one.cov


def test_features_moments_and_gaussians_are_interchangeable() -> None:
    reference, samples = FEATURES[:30], FEATURES[30:]
    expected = frechet_distance(reference, samples)
    statistics = Gaussian(reference.mean(axis=0), np.cov(reference, rowvar=False))
    assert frechet_distance(Moments.of(reference), samples) == expected
    assert frechet_distance(reference, Moments.of(samples)) == expected
    assert frechet_distance(statistics, Moments.of(samples)) == pytest.approx(expected, rel=1e-9)


def test_the_root_of_a_reference_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    reference, samples = Moments.of(FEATURES[:30]), Moments.of(FEATURES[30:])
    first = frechet_distance(reference, samples)
    monkeypatch.setattr(np.linalg, "eigh", None)
    assert frechet_distance(reference, samples) == first


def test_nothing_to_combine_is_refused() -> None:
    with pytest.raises(FeatureError, match="empty sequence"):
        Moments.combine([])


def test_different_features_do_not_merge() -> None:
    with pytest.raises(FeatureError, match="5 features per image and samples have 4"):
        Moments.of(FEATURES).merge(Moments.of(FEATURES[:, :4]))


@pytest.mark.parametrize(
    ("mean", "cov", "message"),
    [
        (np.zeros(3), np.eye(2), r"got shapes \(3,\) and \(2, 2\)"),
        (np.zeros((1, 2)), np.eye(2), r"mean must be \(D,\)"),
        (np.array([0.0, np.nan]), np.eye(2), "finite"),
        (np.zeros(2), np.array([[1.0, 0.5], [0.0, 1.0]]), "symmetric"),
    ],
)
def test_statistics_that_are_no_gaussian_are_refused(mean: np.ndarray, cov: np.ndarray, message: str) -> None:
    with pytest.raises(FeatureError, match=message):
        Gaussian(mean, cov)
