"""Features that cannot be used are refused by every metric, in one clear message."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import imaging
from imaging import FeatureError

GOOD = np.random.default_rng(0).standard_normal((40, 6))
PAIRED: list[Callable[..., object]] = [imaging.frechet_distance, imaging.precision_recall, imaging.kid]


def with_value(value: float) -> npt.NDArray[Any]:
    features = GOOD.copy()
    features[17, 3] = value
    return features


@pytest.mark.parametrize("metric", PAIRED, ids=lambda metric: metric.__name__)
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (with_value(np.nan), "finite; row 17 holds NaN or infinity"),
        (with_value(-np.inf), "finite; row 17 holds NaN or infinity"),
        (GOOD[0], r"two dimensions, \(N, D\); got shape \(6,\)"),
        (GOOD.reshape(40, 3, 2), r"two dimensions, \(N, D\); got shape \(40, 3, 2\)"),
        (GOOD[:1], "at least 2 rows of features, one per image; got 1"),
        (GOOD[:0], "at least 2 rows of features, one per image; got 0"),
        (GOOD[:, :0], r"at least one column; got shape \(40, 0\)"),
        (GOOD.astype(complex), "real numbers; got dtype complex128"),
        (np.full((40, 6), "x"), "real numbers; got dtype <U1"),
    ],
)
def test_bad_features_are_refused_on_either_side(metric: Callable[..., object], bad: Any, message: str) -> None:
    with pytest.raises(FeatureError, match=f"^reference: .*{message}"):
        metric(bad, GOOD)
    with pytest.raises(FeatureError, match=f"^samples: .*{message}"):
        metric(GOOD, bad)


@pytest.mark.parametrize("metric", PAIRED, ids=lambda metric: metric.__name__)
def test_features_of_two_extractors_are_refused(metric: Callable[..., object]) -> None:
    with pytest.raises(FeatureError, match="reference has 6 features per image and samples have 5"):
        metric(GOOD, GOOD[:, :5])


def test_an_error_is_a_value_error() -> None:
    assert issubclass(FeatureError, ValueError)


@pytest.mark.parametrize("metric", PAIRED, ids=lambda metric: metric.__name__)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int64, np.uint8])
def test_other_number_types_are_taken(metric: Callable[..., Any], dtype: type) -> None:
    features: npt.NDArray[Any] = np.clip(GOOD * 20 + 100, 0, 255).astype(dtype)
    expected = metric(features.astype(np.float64), features[::-1].astype(np.float64) + 1)
    assert metric(features, features[::-1].astype(np.float64) + 1) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("value", [0.0, 0.1, -3e7])
class TestConstantFeatures:
    """A reference like this is a mistake; a model may collapse, and is measured."""

    @pytest.mark.parametrize("metric", PAIRED, ids=lambda metric: metric.__name__)
    def test_a_reference_is_refused_and_samples_are_warned_of(
        self, metric: Callable[..., object], value: float
    ) -> None:
        constant = np.full((40, 6), value)
        with pytest.raises(FeatureError, match=r"^reference: all 40 rows of features are the same"):
            metric(constant, GOOD)
        with pytest.warns(imaging.CollapsedSamples, match=r"^samples: all 40 rows of features are the same") as told:
            metric(GOOD, constant)
        assert [warning.filename for warning in told] == [__file__]

    @pytest.mark.filterwarnings("ignore::imaging.CollapsedSamples")
    def test_the_metrics_are_as_they_are_defined(self, value: float) -> None:
        constant = np.full((40, 6), value)
        expected = np.square(GOOD.mean(axis=0) - value).sum() + np.trace(np.cov(GOOD, rowvar=False))
        assert imaging.frechet_distance(GOOD, constant) == pytest.approx(expected, rel=1e-9)
        precision, recall = imaging.precision_recall(GOOD, constant)
        assert (precision, recall) == (float(abs(value) < 1), 0.0), "one point, inside or outside"
        assert imaging.kid(GOOD, constant) > 0


@pytest.mark.parametrize("k", [0, -1, 40])
def test_k_out_of_range_is_refused(k: int) -> None:
    with pytest.raises(FeatureError, match=f"less than the rows of either side .40 and 40.; got {k}"):
        imaging.precision_recall(GOOD, GOOD, k)


def test_unknown_arithmetic_is_refused() -> None:
    with pytest.raises(FeatureError, match="'float32' or 'float16'; got 'bfloat16'"):
        imaging.precision_recall(GOOD, GOOD, arithmetic="bfloat16")  # type: ignore[arg-type]


@pytest.mark.parametrize("side", ["reference", "samples"])
def test_too_few_samples_warn_with_what_to_do(side: str) -> None:
    few = {"reference": GOOD, "samples": GOOD, side: GOOD[:6]}
    with pytest.warns(imaging.FewSamples, match=f"{side}: 6 samples for 6 features .* Draw more than 6"):
        imaging.frechet_distance(few["reference"], few["samples"])


def test_enough_samples_do_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        imaging.frechet_distance(GOOD[:7], GOOD)


def test_inception_score_refuses_bad_input() -> None:
    with pytest.raises(FeatureError, match=r"logits: .* finite"):
        imaging.inception_score(with_value(np.nan))
    with pytest.raises(FeatureError, match="split_size must be at least 1; got 0"):
        imaging.inception_score(GOOD, split_size=0)


def test_inception_score_at_its_ends() -> None:
    certain = np.eye(10) * 1e4
    assert imaging.inception_score(np.tile(certain, (5, 1))) == pytest.approx(10.0, rel=1e-12)
    assert imaging.inception_score(np.zeros((50, 10))) == pytest.approx(1.0, rel=1e-12)


def test_importing_the_metrics_is_cheap() -> None:
    code = "import sys, imaging; print([m for m in ('torch', 'scipy', 'sklearn', 'pandas') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
