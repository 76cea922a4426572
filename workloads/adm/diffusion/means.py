"""Parameterisations of the mean of p(x_{t−1} | x_t): each derives x_0 from the network's prediction, and the training
target of that prediction from x_0, x_t and ε.

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
    """The network predicts the noise ε in x_t. Equation 3."""

    @staticmethod
    def x0(process: Process, predicted: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        return process.x0_from_epsilon(x_t, t, predicted)

    @staticmethod
    def target(process: Process, x0: Tensor, x_t: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        return noise


class X0:
    """The network predicts x_0."""

    @staticmethod
    def x0(process: Process, predicted: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        return predicted

    @staticmethod
    def target(process: Process, x0: Tensor, x_t: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        return x0


class Previous:
    """The network predicts the posterior mean μ̃ of x_{t−1}. Equation 4."""

    @staticmethod
    def x0(process: Process, predicted: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        return process.x0_from_previous(x_t, t, predicted)

    @staticmethod
    def target(process: Process, x0: Tensor, x_t: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        return process.q_posterior_mean(x0, x_t, t)
