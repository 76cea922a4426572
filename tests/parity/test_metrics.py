"""The metrics against recorded figures of independent implementations, and against slow references written here."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import scipy.linalg

import imaging

ORACLE = json.loads((Path(__file__).parent / "oracle" / "metrics.json").read_text())
CASE = ORACLE["cases"]["a"]


def oracle_features(seed: int, n: int, d: int, shift: float, scale: float) -> npt.NDArray[np.float32]:
    """The features of the recorded cases: the rule is the file's own `doc`."""
    mixing = np.random.default_rng(999).standard_normal((d, d)) / np.sqrt(d)
    features = abs(np.random.default_rng(seed).standard_normal((n, d)) @ mixing) * scale + shift
    return features.astype(np.float32)


@pytest.fixture(scope="module")
def pair() -> tuple[Any, Any]:
    return oracle_features(*CASE["ref"]), oracle_features(*CASE["sample"])


def frechet_by_sqrtm(reference: npt.NDArray[Any], samples: npt.NDArray[Any]) -> float:
    """The textbook form, with SciPy's matrix square root."""
    first, second = np.asarray(reference, dtype=float), np.asarray(samples, dtype=float)
    sigma_1, sigma_2 = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    root = np.real(scipy.linalg.sqrtm(sigma_1 @ sigma_2))
    return float(np.sum((first.mean(0) - second.mean(0)) ** 2) + np.trace(sigma_1 + sigma_2 - 2 * root))


def brute_precision_recall(reference: npt.NDArray[Any], samples: npt.NDArray[Any], k: int) -> tuple[float, float]:
    """The definition, from the full matrices of float64 differences."""

    def squared(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        return np.stack([((row - b.astype(float)) ** 2).sum(axis=1) for row in a.astype(float)])

    def radii(a: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        distances = squared(a, a)
        np.fill_diagonal(distances, np.inf)
        return np.sort(distances, axis=1)[:, k - 1]

    cross = squared(reference, samples)
    precision = (cross <= radii(reference)[:, None]).any(axis=0).mean()
    recall = (cross <= radii(samples)[None, :]).any(axis=1).mean()
    return float(precision), float(recall)


def test_frechet_distance_is_the_recorded_one(pair: tuple[Any, Any]) -> None:
    assert imaging.frechet_distance(*pair) == pytest.approx(CASE["fid"], rel=1e-8)


def test_precision_and_recall_are_the_recorded_ones_exactly(pair: tuple[Any, Any]) -> None:
    assert imaging.precision_recall(*pair, k=3) == (CASE["precision_k3"], CASE["recall_k3"])


@pytest.mark.parametrize("dim", [1, 7, 64])
def test_frechet_distance_agrees_with_sqrtm(dim: int) -> None:
    reference, samples = oracle_features(11, 500, dim, 0.0, 1.0), oracle_features(12, 400, dim, 0.3, 0.8)
    expected = frechet_by_sqrtm(reference, samples) if dim > 1 else _frechet_of_a_line(reference, samples)
    assert imaging.frechet_distance(reference, samples) == pytest.approx(expected, rel=1e-9)


def _frechet_of_a_line(reference: npt.NDArray[Any], samples: npt.NDArray[Any]) -> float:
    first, second = reference.astype(float), samples.astype(float)
    return float((first.mean() - second.mean()) ** 2 + (first.std(ddof=1) - second.std(ddof=1)) ** 2)


def test_frechet_distance_survives_rank_deficiency() -> None:
    """Padded with a constant and with a copy of each feature, the answer is known: the copies double it."""
    reference, samples = oracle_features(1, 300, 16, 0.0, 1.0), oracle_features(2, 250, 16, 0.1, 1.1)
    plain = imaging.frechet_distance(reference, samples)

    def padded(features: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.concatenate([features, features, np.full((len(features), 5), 3.0)], axis=1)

    assert imaging.frechet_distance(padded(reference), padded(samples)) == pytest.approx(2 * plain, rel=1e-6)


def test_frechet_distance_with_fewer_samples_than_features_warns_and_is_right() -> None:
    """Two sets in orthogonal subspaces: the product of their covariances is nil, and the distance all traces."""
    rng = np.random.default_rng(0)
    reference, samples = np.zeros((20, 40)), np.zeros((20, 40))
    reference[:, :20], samples[:, 20:] = rng.standard_normal((20, 20)), rng.standard_normal((20, 20))
    with pytest.warns(imaging.FewSamples, match="20 samples for 40 features") as caught:
        distance = imaging.frechet_distance(reference, samples)
    assert [str(w.message).split(":")[0] for w in caught] == ["reference", "samples"]
    assert caught[0].filename == __file__
    first, second = np.cov(reference, rowvar=False), np.cov(samples, rowvar=False)
    expected = np.sum((reference.mean(0) - samples.mean(0)) ** 2) + np.trace(first) + np.trace(second)
    assert distance == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6])
@pytest.mark.parametrize("k", [1, 3, 5])
def test_precision_and_recall_are_those_of_brute_force(k: int, offset: float) -> None:
    """Far from the origin, the expanded form in float32 would lose every digit of the distances."""
    rng = np.random.default_rng(k)
    reference = rng.standard_normal((230, 24)) + offset
    samples = rng.standard_normal((170, 24)) * 0.9 + 0.2 + offset
    assert imaging.precision_recall(reference, samples, k) == brute_precision_recall(reference, samples, k)


@pytest.mark.parametrize("kind", ["lattice", "one_hot", "duplicates", "clusters", "outlier"])
def test_precision_and_recall_with_ties_and_near_ties(kind: str) -> None:
    rng = np.random.default_rng(5)
    sets: dict[str, Callable[[int], npt.NDArray[Any]]] = {
        "lattice": lambda n: rng.integers(0, 3, (n, 6)).astype(np.float32),
        "one_hot": lambda n: np.eye(12, dtype=np.float32)[rng.integers(0, 12, n)],
        "duplicates": lambda n: np.repeat(rng.standard_normal((n // 4, 8)), 4, axis=0),
        "clusters": lambda n: rng.integers(0, 4, (n, 1)) * 1e4 + rng.standard_normal((n, 8)) * 1e-3,
        "outlier": lambda n: np.concatenate([rng.standard_normal((n - 1, 8)), np.full((1, 8), 1e15)]),
    }
    reference, samples = sets[kind](160), sets[kind](120)
    assert imaging.precision_recall(reference, samples, 3) == brute_precision_recall(reference, samples, 3)


@pytest.mark.slow
@pytest.mark.parametrize("max_bytes", [1, 4_000, 100_000])
def test_the_memory_bound_does_not_change_the_result(max_bytes: int) -> None:
    reference, samples = oracle_features(3, 120, 16, 0.0, 1.0), oracle_features(4, 100, 16, 0.1, 1.0)
    expected = imaging.precision_recall(reference, samples)
    assert imaging.precision_recall(reference, samples, max_bytes=max_bytes) == expected


def test_float16_is_near_and_named(pair: tuple[Any, Any]) -> None:
    precision, recall = imaging.precision_recall(*pair, arithmetic="float16")
    assert precision == pytest.approx(CASE["precision_k3"], abs=0.05)
    assert recall == pytest.approx(CASE["recall_k3"], abs=0.05)


def test_data_against_itself() -> None:
    features = oracle_features(1, 400, 32, 0.0, 1.0)
    assert imaging.precision_recall(features, features) == (1.0, 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert imaging.frechet_distance(features, features) == pytest.approx(0.0, abs=1e-9)


def kid_by_definition(reference: npt.NDArray[Any], samples: npt.NDArray[Any]) -> float:
    """Both sums over all pairs, the diagonal left out, from the full kernel matrices."""
    x, y = reference.astype(float), samples.astype(float)
    n, m, d = len(x), len(y), x.shape[1]
    k_xx, k_yy, k_xy = (x @ x.T / d + 1) ** 3, (y @ y.T / d + 1) ** 3, (x @ y.T / d + 1) ** 3
    np.fill_diagonal(k_xx, 0.0)
    np.fill_diagonal(k_yy, 0.0)
    return float(k_xx.sum() / (n * (n - 1)) + k_yy.sum() / (m * (m - 1)) - 2 * k_xy.mean())


def test_kid_is_the_recorded_one(pair: tuple[Any, Any]) -> None:
    assert imaging.kid(*pair) == pytest.approx(CASE["kid_full_unbiased_poly3"], rel=1e-8)
    assert imaging.kid_with_standard_error(*pair).kid == imaging.kid(*pair)


def test_inception_score_is_the_recorded_one() -> None:
    case = ORACLE["cases"]["inception_score"]
    logits = np.random.default_rng(7).standard_normal((600, 50)) * 2
    score = imaging.inception_score(logits, split_size=case["split_size"])
    assert score == pytest.approx(case["mean"], rel=1e-8)


@pytest.mark.parametrize("max_bytes", [1, 20_000, 1 << 28])
def test_kid_in_tiles_agrees_with_its_definition(max_bytes: int) -> None:
    reference, samples = oracle_features(3, 60, 12, 0.0, 1.0), oracle_features(4, 45, 12, 0.1, 1.0)
    expected = kid_by_definition(reference, samples)
    assert imaging.kid(reference, samples, max_bytes=max_bytes) == pytest.approx(expected, rel=1e-10)


def test_standard_error_of_kid_is_the_jackknife() -> None:
    x, y = oracle_features(3, 30, 6, 0.0, 1.0), oracle_features(4, 20, 6, 0.1, 1.0)
    variance = 0.0
    for left_out in (
        [kid_by_definition(np.delete(x, i, axis=0), y) for i in range(len(x))],
        [kid_by_definition(x, np.delete(y, i, axis=0)) for i in range(len(y))],
    ):
        variance += (len(left_out) - 1) * float(np.var(left_out))
    result = imaging.kid_with_standard_error(x, y)
    assert result.standard_error == pytest.approx(np.sqrt(variance), rel=1e-8)


def test_standard_error_of_kid_is_the_spread_of_repeats() -> None:
    rng = np.random.default_rng(0)
    repeats = [
        imaging.kid_with_standard_error(rng.standard_normal((80, 8)), rng.standard_normal((80, 8)) + 0.3)
        for _ in range(150)
    ]
    estimates, errors = np.array(repeats).T
    assert errors.mean() == pytest.approx(estimates.std(ddof=1), rel=0.25)
