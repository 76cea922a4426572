"""CMMD against its equation in float64, and its biased estimate's properties."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from imaging import cmmd
from imaging.metrics.cmmd import cmmd_leaving_out


def embeddings(num_rows: int, seed: int, towards: float = 0.0) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(num_rows, 32))
    rows[:, 0] += towards
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def by_equation(reference: np.ndarray, samples: np.ndarray) -> float:
    """1000 (E k(x, x') + E k(y, y') − 2 E k(x, y)), every pair of a set included."""
    x, y = reference.astype(np.longdouble), samples.astype(np.longdouble)
    means = [
        np.exp(-cdist(a, b, "sqeuclidean").astype(np.longdouble) / 200).mean() for a, b in ((x, x), (y, y), (x, y))
    ]
    return float(1000 * (means[0] + means[1] - 2 * means[2]))


@pytest.mark.parametrize("towards", [0.0, 0.1, 5.0])
def test_it_is_its_equation_in_float64(towards: float) -> None:
    reference, samples = embeddings(70, 0), embeddings(50, 1, towards)
    assert cmmd(reference, samples) == pytest.approx(by_equation(reference, samples), rel=1e-9)
    assert cmmd(reference, samples, max_bytes=1 << 13) == pytest.approx(cmmd(reference, samples), rel=1e-12)


def test_it_is_never_negative_and_zero_for_the_same_images() -> None:
    reference = embeddings(40, 0)
    assert cmmd(reference, reference) == pytest.approx(0, abs=1e-10)
    assert all(cmmd(reference, embeddings(40, seed)) > 0 for seed in range(1, 6))


def test_leaving_a_block_out_is_measuring_the_others() -> None:
    reference, samples = embeddings(30, 0), embeddings(24, 1)
    blocks = [np.arange(24)[start::4] for start in range(4)]
    value, left_out = cmmd_leaving_out(reference, samples, blocks)
    assert value == cmmd(reference, samples)
    expected = [cmmd(reference, np.delete(samples, rows, axis=0)) for rows in blocks]
    assert left_out == pytest.approx(expected, rel=1e-9)
