"""How often 95% intervals hold, and how much bias FID∞ leaves, on features whose distance is known.

    python tests/bench/coverage.py [--repeats 300] [--blocks 20] [--dims 8 32 128]

Features have D eigenvalues as 1/i. The reference is their normal distribution itself; a model is shifted and scaled, so
that the distance is |shift|² + tr Σ (1 − scale)². Kinds: `normal`; `skewed`, absolute values of normals, as what comes
after a ReLU; `heavy`, normals of an image's own scale (Student's t, 10 degrees of freedom). The second arm of a pair
has a shift and scale a little off the first's, and noise correlated 0.9 with its noise.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from imaging import (
    FewSamples,
    Gaussian,
    Moments,
    frechet_difference_interval,
    frechet_distance_infinity,
    frechet_interval,
)
from imaging.metrics.jackknife import NUM_BLOCKS

Array = npt.NDArray[np.float64]
CORRELATION = 0.9
KINDS: dict[str, Callable[[Array, Array], Array]] = {
    "normal": lambda z, w: z,
    "skewed": lambda z, w: (abs(z) - np.sqrt(2 / np.pi)) / np.sqrt(1 - 2 / np.pi),
    "heavy": lambda z, w: z * np.sqrt(8 / w),
}


class Case(NamedTuple):
    """Where the model stands: shift of every mean and scale of the spread; (0, 1) is the reference itself."""

    kind: str
    dim: int
    num: int
    shift: float
    scale: float


CASES = [
    Case(kind, dim, num, shift, scale)
    for dim, num in ((8, 200), (32, 80), (32, 320), (32, 800), (128, 1280))
    for kind in KINDS
    for shift, scale in ((0.0, 1.0), (0.1, 0.9), (0.3, 0.7))
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=300)
    parser.add_argument("--blocks", type=int, default=NUM_BLOCKS)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--dims", nargs="+", type=int, default=[8, 32])
    options = parser.parse_args()
    print(
        "cov: share of intervals at 95% that hold the expectation at that N; err/sd: mean standard error over the true"
    )
    print("one; wider: unpaired interval over paired; left: bias FID∞ leaves, as a share of the bias of FID")
    print(
        f"\n{'features':<7}{'D':>4}{'N':>6}{'shift':>6}{'scale':>6}{'FID∞':>8}{'FID':>8}"
        f"{'cov':>7}{'err/sd':>7}{'  linearised:':>13}{'cov':>5}{'  pair:':>8}{'cov':>6}{'unpaired':>9}{'wider':>6}"
        f"{'  FID∞: left':>14}{'±':>6}{'cov':>7}{'err/sd':>7}"
    )
    warnings.simplefilter("ignore", FewSamples)  # N = 2.5 D is there to show how parts of fewer rows than D fail
    started = time.perf_counter()
    for case in CASES:
        if case.kind in options.kinds and case.dim in options.dims:
            print(line(case, options.repeats, options.blocks), flush=True)
    print(f"{time.perf_counter() - started:.0f} s")


def line(case: Case, repeats: int, num_blocks: int) -> str:
    generator = np.random.default_rng([case.dim, case.num, list(KINDS).index(case.kind)])
    roots = np.sqrt(spectrum(case.dim))
    reference = Gaussian(np.zeros(case.dim), np.diag(roots**2))
    rows = []
    for _ in range(repeats):
        first, second = ([*Moments.blocks(arm, num_blocks)] for arm in arms(case, roots, generator))
        single, other = frechet_interval(reference, first), frechet_interval(reference, second)
        pair = frechet_difference_interval(reference, first, second)
        infinite = frechet_distance_infinity(reference, first)
        unpaired = np.hypot(single.standard_error, other.standard_error)
        linear = linearised_error(reference, first)
        rows.append((*single[:2], linear, *pair[:2], unpaired, infinite.value, infinite.standard_error))
    value, error, linear, difference, paired, unpaired, infinity, infinity_error = np.array(rows).T
    t = stdtrit(num_blocks - 1, 0.975)
    expected, true = value.mean(), case.dim * case.shift**2 + case.dim * (1 - case.scale) ** 2
    left = (infinity.mean() - true) / (expected - true)
    left_error = infinity.std(ddof=1) / np.sqrt(repeats) / abs(expected - true)

    def covers(values: Array, errors: Array, centre: float) -> float:
        return float((abs(values - centre) <= t * errors).mean())

    return (
        f"{case.kind:<7}{case.dim:>4}{case.num:>6}{case.shift:>6}{case.scale:>6}{true:>8.3f}{expected:>8.3f}"
        f"{covers(value, error, expected):>7.3f}{error.mean() / value.std(ddof=1):>7.2f}"
        f"{covers(value, linear, expected):>18.3f}"
        f"{covers(difference, paired, difference.mean()):>14.3f}{covers(difference, unpaired, difference.mean()):>9.3f}"
        f"{unpaired.mean() / paired.mean():>6.1f}"
        f"{left:>+14.1%}{left_error:>6.1%}{covers(infinity, infinity_error, true):>7.3f}"
        f"{infinity_error.mean() / infinity.std(ddof=1):>7.2f}"
    )


def spectrum(dim: int) -> Array:
    """Eigenvalues (D,) as 1/i, with sum D."""
    eigenvalues = 1 / np.arange(1, dim + 1)
    return eigenvalues * (dim / eigenvalues.sum())


def arms(case: Case, roots: Array, generator: np.random.Generator) -> tuple[Array, Array]:
    """Features (N, D) of a model and of one a little different, from correlated noise."""
    noise, own = generator.standard_normal((2, case.num, case.dim))
    scales = generator.chisquare(10, (case.num, 1))
    near = CORRELATION * noise + np.sqrt(1 - CORRELATION**2) * own
    shape = KINDS[case.kind]
    return (
        shape(noise, scales) * roots * case.scale + case.shift,
        shape(near, scales) * roots * (case.scale - 0.01) + case.shift + 0.01,
    )


def linearised_error(reference: Gaussian, blocks: list[Moments]) -> float:
    """Standard error from the derivative of the distance in the moments, for comparison.

    With Σ_r = F Fᵀ and T = F (Fᵀ Σ F)^(−1/2) Fᵀ, d(distance) = 2 (μ − μ_r)·dμ + tr((I − T) dΣ).
    """
    total = Moments.combine(blocks)
    root, offset = reference.root, total.mean - reference.mean
    eigenvalues, vectors = np.linalg.eigh(root.T @ total.cov @ root)
    within = eigenvalues > len(eigenvalues) * np.finfo(float).eps * eigenvalues[-1]
    basis = root @ vectors[:, within]
    derivative = np.eye(total.dim) - (basis / np.sqrt(eigenvalues[within])) @ basis.T
    influences = []
    for block in blocks:
        delta = block.mean - total.mean
        influences.append(2 * offset @ delta + np.sum(derivative * (block.m2 / block.n + np.outer(delta, delta))))
    return float(np.std(influences, ddof=1) / np.sqrt(len(blocks)))


if __name__ == "__main__":
    main()
