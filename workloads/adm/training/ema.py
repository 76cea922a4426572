"""Exponential moving averages of the weights, which are used for sampling (appendix K: rate 0.9999)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn


class EMA:
    """θ̄ ← rate·θ̄ + (1 − rate)·θ after every step, in float32, for several rates at once."""

    def __init__(self, model: nn.Module, rates: Sequence[float]) -> None:
        self._live = dict(model.state_dict())
        self.weights = {rate: {name: w.detach().clone() for name, w in self._live.items()} for rate in rates}

    @torch.no_grad()
    def update(self) -> None:
        live = list(self._live.values())
        for rate, average in self.weights.items():
            torch._foreach_lerp_(list(average.values()), live, 1 - rate)

    @torch.no_grad()
    def load(self, saved: Mapping[float, Mapping[str, Tensor]]) -> None:
        for rate, average in self.weights.items():
            for name, weight in average.items():
                weight.copy_(saved[rate][name])
