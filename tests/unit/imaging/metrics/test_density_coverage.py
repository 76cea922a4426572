"""Density and coverage: exactly those of the package prdc."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from prdc import compute_prdc

from imaging import FeatureError, density_coverage
from imaging.metrics import density_coverage as module
from imaging.metrics.density_coverage import ball_counts


def features(num_rows: int, dim: int, seed: int, shift: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(num_rows, dim)) * rng.exponential(size=dim) + shift).astype(np.float32)


@pytest.mark.parametrize(("dim", "shift", "k"), [(2, 0.0, 1), (8, 0.3, 5), (300, 0.0, 5), (64, 100.0, 3)])
def test_they_are_those_of_prdc_exactly(dim: int, shift: float, k: int) -> None:
    reference, samples = features(301, dim, 0, shift), features(217, dim, 1, shift + 0.02)
    theirs = compute_prdc(reference.astype(np.float64), samples.astype(np.float64), k)
    ours = density_coverage(reference, samples, k)
    assert ours == pytest.approx((theirs["density"], theirs["coverage"]), abs=1e-12)
    assert 0 < ours.coverage <= 1


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_any_arithmetic_and_any_memory_give_the_same(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """With products of any precision, and tiles of few rows, of which the blocks are parts."""
    reference, samples = features(80, 16, 0), features(90, 16, 1)
    expected = density_coverage(reference, samples)
    monkeypatch.setattr(module, "screening_dtypes", lambda device: (dtype, torch.float64))
    assert density_coverage(reference, samples, max_bytes=48 * 1024) == expected


def test_leaving_a_block_out_is_measuring_the_others() -> None:
    reference, samples = features(50, 4, 0), features(45, 4, 1)
    blocks = [np.arange(45)[start::3] for start in range(3)]
    counts = ball_counts(reference, samples, blocks)
    assert counts.value == density_coverage(reference, samples)
    for rows, left_out in zip(blocks, counts.left_out, strict=True):
        assert left_out == pytest.approx(density_coverage(reference, np.delete(samples, rows, axis=0)))


def test_a_sample_on_the_surface_of_a_ball_is_outside() -> None:
    reference = np.array([[0.0], [1.0], [10.0], [13.0]])
    assert density_coverage(reference, np.array([[-1.0], [7.0]]), 1) == (0, 0)
    assert density_coverage(reference, np.array([[0.5], [7.5]]), 1) == (1.5, 0.75)


def test_as_many_neighbours_as_references_are_refused() -> None:
    with pytest.raises(FeatureError, match="k must be at least 1 and less than the 5 references; got 5"):
        density_coverage(features(5, 2, 0), features(9, 2, 1))
