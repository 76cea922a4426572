"""What a network may predict in place of the mean of p(x_{t−1} | x_t): each has the x_0 that a prediction implies, and
the training target.

Legend: x0, x_t, noise and predictions (N, C, H, W); t (N,), an index into the respaced steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from torch import Tensor

if TYPE_CHECKING:
    from adm.diffusion.process import Process


class Mean(Protocol):
    @staticmethod
    def x0(process: Process, predicted: Tensor, x_t: Tensor, t: Tensor) -> Tensor: ...

    @staticmethod
    def target(process: Process, x0: Tensor, x_t: Tensor, t: Tensor, noise: Tensor) -> Tensor: ...


class Epsilon:
    """The noise ε in x_t. Equation 3."""

    @staticmethod
    def x0(process: Process, predicted: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        return process.x0_from_epsilon(x_t, t, predicted)

    @staticmethod
    def target(process: Process, x0: Tensor, x_t: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        return noise


class X0:
    """The image itself."""

    @staticmethod
    def x0(process: Process, predicted: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        return predicted

    @staticmethod
    def target(process: Process, x0: Tensor, x_t: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        return x0


class Previous:
    """The mean of x_{t−1}, given x_t and x_0. Equation 4."""

    @staticmethod
    def x0(process: Process, predicted: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        return process.x0_from_previous(x_t, t, predicted)

    @staticmethod
    def target(process: Process, x0: Tensor, x_t: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        return process.q_posterior_mean(x0, x_t, t)
