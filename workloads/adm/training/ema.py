"""Averages of the weights, which are used for sampling (appendix K: exponential, rate 0.9999)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from adm.training.ema_profiles import exponent


class EMA:
    """θ̄ ← rate·θ̄ + (1 − rate)·θ after every step, in float32, for several rates at once."""

    def __init__(self, model: nn.Module, rates: Sequence[float]) -> None:
        self._live = dict(model.state_dict())
        self.weights = {rate: {name: w.detach().clone() for name, w in self._live.items()} for rate in rates}

    def rate(self, average: float, step: int) -> float:
        """The rate of an average at a step, 1, 2, …"""
        return average

    @torch.no_grad()
    def update(self, step: int = 1) -> None:
        live = list(self._live.values())
        for average, weights in self.weights.items():
            torch._foreach_lerp_(list(weights.values()), live, 1 - self.rate(average, step))

    @torch.no_grad()
    def load(self, saved: Mapping[float, Mapping[str, Tensor]]) -> None:
        for rate, average in self.weights.items():
            for name, weight in average.items():
                weight.copy_(saved[rate][name])


class PowerEMA(EMA):
    """Averages with a length σ_rel relative to the training so far: θ̄ ← β_t θ̄ + (1 − β_t) θ, β_t = (1 − 1/t)^{γ+1}.

    Karras et al. 2023 (EDM2, arXiv:2312.02696), section 3.1. See adm.training.ema_profiles.
    """

    def __init__(self, model: nn.Module, lengths: Sequence[float]) -> None:
        super().__init__(model, lengths)
        self._exponents = {length: exponent(length) for length in lengths}

    def rate(self, average: float, step: int) -> float:
        return float((1.0 - 1.0 / step) ** (self._exponents[average] + 1.0))
