"""The timesteps of a training batch: uniform, or sampled in proportion to the root mean square of their losses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from adm.diffusion.schedules import karras_timestep
from adm.registries import TIMESTEP_SAMPLERS


class TimestepSampler(Protocol):
    """Samples t for a batch, with weights that make the expected weighted loss that of uniform sampling."""

    num_timesteps: int

    def sample(self, batch: int, *, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """(t int64 (batch,), weights float32 (batch,)), on the CPU. Train on (weights · losses).mean(). A continuous
        sampler's t are real, float64."""
        ...

    def update(self, t: Tensor, losses: Tensor) -> None:
        """Record a step's t and unweighted losses, (batch,) each. Every worker calls it, every step."""
        ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...


class Uniform:
    """t ~ U{0, …, T−1}, with weight 1."""

    def __init__(self, num_timesteps: int) -> None:
        self.num_timesteps = num_timesteps

    def sample(self, batch: int, *, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        return torch.randint(self.num_timesteps, (batch,), generator=generator), torch.ones(batch)

    def update(self, t: Tensor, losses: Tensor) -> None:
        return

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        return


class LogNormal(Uniform):
    """ln σ ~ N(−1.2, 1.2²), with weight 1, as real t of the schedule karras. Karras et al. 2022 (arXiv:2206.00364),
    table 1: most training goes where the loss can fall most.

    A millionth of the samples lies outside the schedule's σ, and gets its ends.
    """

    LOG_MEAN, LOG_DEVIATION = -1.2, 1.2

    def sample(self, batch: int, *, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        normal = torch.randn(batch, generator=generator, dtype=torch.float64)
        sigma = (self.LOG_MEAN + self.LOG_DEVIATION * normal).exp()
        t = karras_timestep(sigma, self.num_timesteps)
        return t.clamp(0, self.num_timesteps - 1), torch.ones(batch)


class LossSecondMoment:
    """p_t ∝ √E[L_t²], from each timestep's latest `history` losses (Nichol & Dhariwal 2021, section 3.3).

    Uniform until every timestep has `history` losses. A fraction `uniform` of the samples stays uniform, so that every
    timestep continues to occur. Weights are 1 / (T p_t).
    """

    def __init__(self, num_timesteps: int, history: int = 10, uniform: float = 0.001) -> None:
        if history < 1 or not 0 <= uniform <= 1:
            raise ValueError(f"history must be at least 1 and uniform in [0, 1], got {history} and {uniform}")
        self.num_timesteps = num_timesteps
        self.history = history
        self.uniform = uniform
        self._losses = np.zeros((num_timesteps, history), dtype=np.float64)
        self._counts = np.zeros(num_timesteps, dtype=np.int64)

    @property
    def warmed_up(self) -> bool:
        return bool((self._counts >= self.history).all())

    def probabilities(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """p_t, float64 (T,)."""
        even = np.full(self.num_timesteps, 1.0 / self.num_timesteps)
        if not self.warmed_up:
            return even
        moments = np.sqrt((self._losses**2).mean(axis=1))
        if moments.sum() == 0:
            return even
        return (1 - self.uniform) * moments / moments.sum() + self.uniform * even

    def sample(self, batch: int, *, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        p = torch.from_numpy(self.probabilities())
        t = torch.multinomial(p, batch, replacement=True, generator=generator)
        return t, (1.0 / (self.num_timesteps * p[t])).float()

    def update(self, t: Tensor, losses: Tensor) -> None:
        """Record a step's losses: those of all workers, in order of ranks, if torch.distributed is initialised."""
        local = list(zip(t.tolist(), losses.detach().double().tolist(), strict=True))
        steps = [local]
        if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
            steps = [[] for _ in range(dist.get_world_size())]
            dist.all_gather_object(steps, local)
        for index, loss in (pair for step in steps for pair in step):
            # A ring buffer: its mean does not depend on which loss is the oldest.
            self._losses[index, self._counts[index] % self.history] = loss
            self._counts[index] += 1

    def state_dict(self) -> dict[str, Any]:
        return {"losses": torch.from_numpy(self._losses.copy()), "counts": torch.from_numpy(self._counts.copy())}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        losses, counts = state["losses"].numpy(), state["counts"].numpy()
        if losses.shape != self._losses.shape:
            raise ValueError(
                f"the saved loss history is {losses.shape} (timesteps, history), this sampler's {self._losses.shape}"
            )
        self._losses, self._counts = losses.copy(), counts.copy()


def timestep_sampler(name: str, num_timesteps: int) -> TimestepSampler:
    """The sampler named by train.timestep_sampler. Raises UserError for an unknown name."""
    return TIMESTEP_SAMPLERS[name].load()(num_timesteps)
