"""Nearest neighbours are exact, whatever the memory bound and however hard the features are on float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from imaging import FeatureError, nearest_neighbours, precision_recall
from imaging.metrics import neighbours


def brute(queries: npt.NDArray[Any], references: npt.NDArray[Any], k: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    distances = np.sqrt([((query - references) ** 2).sum(axis=1) for query in queries.astype(float)])
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(distances, order, axis=1)


@pytest.mark.parametrize("offset", [0.0, 100.0, 1e7])
@pytest.mark.parametrize("max_bytes", [1, 10_000, 1 << 30])
def test_indices_and_distances_are_those_of_float64(offset: float, max_bytes: int) -> None:
    rng = np.random.default_rng(0)
    queries, references = rng.standard_normal((20, 10)) + offset, rng.standard_normal((90, 10)) + offset
    found = nearest_neighbours(queries, references, 4, max_bytes=max_bytes)
    indices, distances = brute(queries, references, 4)
    np.testing.assert_array_equal(found.indices, indices)
    np.testing.assert_allclose(found.distances, distances, rtol=1e-14)


def test_clusters_that_float32_cannot_tell_apart() -> None:
    """Distances of 1e-3 among norms of 1e4: float32 screens nothing, float64 decides."""
    rng = np.random.default_rng(1)
    centres = rng.integers(0, 3, (120, 1)) * 1e4
    references = centres + rng.standard_normal((120, 8)) * 1e-3
    indices, distances = brute(references, references, 3)
    found = nearest_neighbours(references, references, 3)
    np.testing.assert_array_equal(found.indices, indices)
    np.testing.assert_allclose(found.distances, distances, rtol=1e-12)


def test_an_outlier_beyond_float64_products() -> None:
    """To the outlier itself all others are equally far; to them, it must not blur the rest."""
    references = np.random.default_rng(2).standard_normal((60, 4))
    references[7] = 1e18
    queries = np.delete(references, 7, axis=0)
    indices, distances = brute(queries, references, 3)
    found = nearest_neighbours(queries, references, 3)
    np.testing.assert_array_equal(found.indices, indices)
    np.testing.assert_allclose(found.distances, distances, rtol=1e-12)


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e12, 1e30])
def test_scale_does_not_matter(scale: float) -> None:
    features = np.random.default_rng(3).standard_normal((50, 6))
    plain, scaled = nearest_neighbours(features, features, 5), nearest_neighbours(features * scale, features * scale, 5)
    np.testing.assert_array_equal(scaled.indices, plain.indices)


def test_all_references_sorted() -> None:
    features = np.random.default_rng(4).standard_normal((9, 3))
    np.testing.assert_array_equal(nearest_neighbours(features, features, 9).indices, brute(features, features, 9)[0])


def test_coarse_products_are_allowed_for() -> None:
    """With TensorFloat-32 or bfloat16 products allowed, more is decided in float64 and the result is the same."""
    rng = np.random.default_rng(6)
    reference, samples = rng.standard_normal((80, 16)), rng.standard_normal((70, 16))
    expected = precision_recall(reference, samples)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        assert precision_recall(reference, samples) == expected
    finally:
        torch.set_float32_matmul_precision(before)


def test_the_bound_holds() -> None:
    """Lower bounds from float32 products are below the distances of float64, and not by much."""
    rng = np.random.default_rng(5)
    first, second = (rng.standard_normal((40, 300)) * 3 + 50 for _ in range(2))
    screen = neighbours.Screen(first, second, torch.float32, "cpu")
    norms = screen.reference_norms[:, None] + screen.other_norms
    approximate = norms - 2 * (screen.reference @ screen.other.T).double()
    exact = screen.squared(np.array([((row - second) ** 2).sum(axis=1) for row in first]))
    error = (approximate - exact).abs()
    assert (error <= screen.epsilon * norms).all()
    assert (screen.epsilon * norms <= 1e-3 * exact).all()


def test_tiles_fit_the_bound() -> None:
    for num_columns in (1, 100, 50_000):
        for max_bytes in (10_000, 1 << 20, 1 << 30):
            rows, columns = neighbours.tile_shape(num_columns, max_bytes)
            assert 48 * rows * columns <= max_bytes
            assert 1 <= columns <= num_columns


@pytest.mark.parametrize("k", [0, 10])
def test_k_out_of_range_is_refused(k: int) -> None:
    features = np.zeros((9, 3))
    with pytest.raises(FeatureError, match=f"between 1 and the number of references, 9; got {k}"):
        nearest_neighbours(features, features, k)


def test_bad_features_are_refused() -> None:
    with pytest.raises(FeatureError, match=r"queries: .* finite; row 0"):
        nearest_neighbours(np.full((1, 2), np.nan), np.zeros((3, 2)), 1)
    with pytest.raises(FeatureError, match="3 features per image"):
        nearest_neighbours(np.zeros((3, 2)), np.zeros((3, 3)), 1)
