"""Averages of the weights over any length, from a few snapshots of two: the arithmetic. Imports no torch.

A power-function average at step t weighs step τ by its profile p(τ) = (γ + 1) τ^γ / t^{γ+1}: it forgets the beginning
as training goes on. Its length is σ_rel, the standard deviation of p relative to t. Karras et al. 2023 (EDM2,
arXiv:2312.02696), section 3 and appendix C.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def exponent(length: float) -> float:
    """γ of a length: the largest root of (γ + 1)/((γ + 2)² (γ + 3)) = σ_rel². 16.97 for 0.05, and 6.94 for 0.1."""
    inverse = length**-2
    return float(np.roots([1.0, 7.0, 16.0 - inverse, 12.0 - inverse]).real.max())


def coefficients(steps: Sequence[int], lengths: Sequence[float], length: float) -> Array:
    """The factors of the snapshots at `steps` (ascending) × `lengths` whose sum has the profile nearest to that of
    `length` at the last step, by least squares; (steps, lengths).

    As in appendix C.3, but for their sum, which is held at 1: a weight that did not move is reconstructed exactly.
    """
    t, gammas = _snapshots(steps, lengths)
    system = np.ones((len(t) + 1, len(t) + 1))
    system[:-1, :-1], system[-1, -1] = _products(t, gammas, t, gammas), 0.0
    wanted = np.append(_products(t, gammas, *_snapshots(steps[-1:], [length]))[:, 0], 1.0)
    return np.linalg.lstsq(system, wanted, rcond=None)[0][:-1].reshape(len(steps), len(lengths))


def profile_error(steps: Sequence[int], lengths: Sequence[float], length: float) -> float:
    """How far the reconstructed profile is from that of `length`, relative to it: ‖Σ x_i p_i − p‖ / ‖p‖."""
    t, gammas = _snapshots(steps, lengths)
    at = _snapshots(steps[-1:], [length])
    x = coefficients(steps, lengths, length).ravel()
    own = _products(*at, *at)[0, 0]
    square = x @ _products(t, gammas, t, gammas) @ x - 2 * x @ _products(t, gammas, *at)[:, 0] + own
    return float(np.sqrt(max(square, 0.0) / own))


def _snapshots(steps: Sequence[int], lengths: Sequence[float]) -> tuple[Array, Array]:
    """t and γ of every snapshot: those of the first step first."""
    return (
        np.repeat(np.array(steps, dtype=np.float64), len(lengths)),
        np.tile([exponent(length) for length in lengths], len(steps)),
    )


def _products(steps: Array, gammas: Array, other_steps: Array, other_gammas: Array) -> Array:
    """∫ p_i p_j dτ = (γ_i + 1)(γ_j + 1) / ((γ_i + γ_j + 1) t_later) · (t_earlier/t_later)^γ_later, for every pair."""
    t, g, s, h = steps[:, None], gammas[:, None], other_steps[None, :], other_gammas[None, :]
    earlier, later = np.minimum(t, s), np.maximum(t, s)
    return (g + 1) * (h + 1) / ((g + h + 1) * later) * (earlier / later) ** np.where(t < s, h, g)
