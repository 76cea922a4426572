"""Nearest neighbours are exact, whatever the memory bound and however hard the features are on float32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from imaging import FeatureError, nearest_neighbours, precision_recall
from imaging.metrics import neighbours
from imaging.metrics import precision_recall as searches


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


@pytest.mark.parametrize(("dtype", "share"), [(torch.bfloat16, 0.03), (torch.float32, 1e-3)])
def test_the_bound_holds(dtype: torch.dtype, share: float) -> None:
    """Lower bounds from products are below the distances of float64, and not by much."""
    rng = np.random.default_rng(5)
    first, second = (rng.standard_normal((40, 300)) * 3 + 50 for _ in range(2))
    screen = neighbours.Screen(first, second, dtype, "cpu")
    norms = screen.reference_norms[:, None] + screen.other_norms
    approximate = norms - 2 * (screen.reference @ screen.other.T).double()
    exact = screen.squared(np.array([((row - second) ** 2).sum(axis=1) for row in first]))
    error = (approximate - exact).abs()
    assert (error <= screen.epsilon * norms).all()
    assert (screen.epsilon * norms <= share * exact).all()


def test_the_bound_of_bfloat16_holds_at_its_worst() -> None:
    """Every feature lies halfway between two numbers of bfloat16, and so does every product."""
    first = np.full((4, 64), 1 + 2.0**-8) * np.array([[1], [1], [-1], [-1]])
    second = np.full((4, 64), 1 + 3 * 2.0**-8) * np.array([[1], [-1], [1], [-1]])
    screen = neighbours.Screen(first, second, torch.bfloat16, "cpu")
    norms = screen.reference_norms[:, None] + screen.other_norms
    approximate = norms - 2 * (screen.reference @ screen.other.T).double()
    exact = screen.squared(((first[:, None] - second) ** 2).sum(axis=2))
    assert ((approximate - exact).abs() <= screen.epsilon * norms).all()


def easy(rng: np.random.Generator, count: int) -> npt.NDArray[Any]:
    return np.maximum(rng.standard_normal((count, 4)) @ np.random.default_rng(0).standard_normal((4, 30)), 0)


def close_pairs(rng: np.random.Generator, count: int) -> npt.NDArray[Any]:
    """Pairs of rows that differ in the ninth digit, far from the others."""
    rows = easy(rng, count)
    rows[1::2] = rows[::2][: count // 2] * (1 + 1e-9)
    return rows


def clusters(rng: np.random.Generator, count: int) -> npt.NDArray[Any]:
    """Distances that no bfloat16 product tells apart, among norms of 1e4."""
    return rng.integers(0, 3, (count, 1)) * 1e4 + rng.standard_normal((count, 12))


def on_a_grid(rng: np.random.Generator, count: int) -> npt.NDArray[Any]:
    """Integers: many distances are equal, and a ball's radius is that of others."""
    return rng.integers(0, 3, (count, 6)).astype(np.float64)


def of_all_sizes(rng: np.random.Generator, count: int) -> npt.NDArray[Any]:
    return rng.standard_normal((count, 8)) * 10.0 ** rng.integers(-6, 7, (count, 1))


@pytest.mark.parametrize("max_bytes", [5_000, 1 << 30])
@pytest.mark.parametrize("draw", [easy, close_pairs, clusters, on_a_grid, of_all_sizes])
def test_bfloat16_products_change_no_hit(
    draw: Callable[[np.random.Generator, int], npt.NDArray[Any]], max_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where they decide few pairs, and are given up. The obvious version: all distances in float64."""
    for module in (neighbours, searches):
        monkeypatch.setattr(module, "screening_dtypes", lambda device: (torch.bfloat16, torch.float32))
    rng = np.random.default_rng(8)
    reference, samples = draw(rng, 90), draw(rng, 130)
    radii = [((side[:, None] - side) ** 2).sum(axis=2) for side in (reference, samples)]
    of_references, of_samples = (np.sort(squared, axis=1)[:, 3] for squared in radii)
    squared = ((samples[:, None] - reference) ** 2).sum(axis=2)
    hits = searches.manifold_hits(reference, samples, max_bytes=max_bytes)
    np.testing.assert_array_equal(hits.samples, (squared <= of_references).any(axis=1))
    np.testing.assert_array_equal(hits.reference, (squared <= of_samples[:, None]).any(axis=0))


def test_bfloat16_products_change_no_neighbour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "screening_dtypes", lambda device: (torch.bfloat16, torch.float32))
    for draw, num_references in ((easy, 200), (clusters, 200), (of_all_sizes, 200), (clusters, 9)):
        rng = np.random.default_rng(9)
        references, queries = draw(rng, num_references), draw(rng, 50)
        indices, distances = brute(queries, references, 4)
        found = nearest_neighbours(queries, references, 4, max_bytes=20_000)
        np.testing.assert_array_equal(found.indices, indices)
        np.testing.assert_allclose(found.distances, distances, rtol=1e-14)


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
