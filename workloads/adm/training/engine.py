"""One optimizer step over a worker group: backward, all-reduce, unscale, Adam, EMA."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from adm.config import TrainConfig
from adm.training.precision import computing_in

LossFn = Callable[[nn.Module], dict[str, Tensor]]


@dataclass(frozen=True)
class StepReport:
    """Means over the global batch. `taken` is False where an overflow of fp16 made the step be skipped."""

    terms: dict[str, float]
    taken: bool


class TorchEngine:
    """PyTorch's fused AdamW, autocast, loss scaling for fp16, and an all-reduce of gradients.

    Adam for weight decay 0, AdamW otherwise: the two are the same there. β = 0.9, 0.999 (appendix K).
    """

    def __init__(self, model: nn.Module, config: TrainConfig, device: str, precision: str, world_size: int) -> None:
        self.model = model.to(device)
        self.ema = {name: weight.detach().clone() for name, weight in self.model.state_dict().items()}
        self._rate = config.ema_rate
        self._device = device
        self._precision = precision
        self._world_size = world_size
        self._parameters = [p for p in self.model.parameters() if p.requires_grad]
        self._optimizer = torch.optim.AdamW(
            self._parameters,
            lr=config.learning_rate,
            betas=(0.9, 0.999),
            weight_decay=config.weight_decay,
            fused=True,
        )
        self._scaler = torch.amp.GradScaler(device.split(":")[0], enabled=precision == "fp16")

    def step(self, loss_fn: LossFn) -> StepReport:
        """`loss_fn` gives per-image terms (n,); the mean of "loss" is minimised."""
        self._optimizer.zero_grad(set_to_none=True)
        with computing_in(self._precision, self._device):
            terms = loss_fn(self.model)
        self._scaler.scale(terms["loss"].mean()).backward()  # type: ignore[no-untyped-call]
        self._average_gradients()
        scale = self._scaler.get_scale()
        self._scaler.step(self._optimizer)
        self._scaler.update()
        taken = self._scaler.get_scale() >= scale  # a scale that fell is how the scaler tells of a skipped step
        if taken:
            self._update_ema()
        means = torch.stack([value.detach().float().mean() for value in terms.values()])
        if self._world_size > 1:
            dist.all_reduce(means)
            means /= self._world_size
        return StepReport(dict(zip(terms, means.tolist(), strict=True)), taken)

    def _average_gradients(self) -> None:
        if self._world_size == 1:
            return
        gradients = [p.grad for p in self._parameters if p.grad is not None]
        flat = torch.cat([g.reshape(-1) for g in gradients])
        dist.all_reduce(flat)
        flat /= self._world_size
        for gradient, part in zip(gradients, torch.split(flat, [g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))

    @torch.no_grad()
    def _update_ema(self) -> None:
        weights = self.model.state_dict()
        torch._foreach_lerp_([self.ema[n] for n in weights], list(weights.values()), 1 - self._rate)

    def state(self) -> dict[str, Any]:
        """Everything a step depends on, on the CPU."""
        return {
            "model": self.model.state_dict(),
            "ema": self.ema,
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
        }

    def load(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        with torch.no_grad():
            for name, weight in state["ema"].items():
                self.ema[name].copy_(weight)
        self._optimizer.load_state_dict(state["optimizer"])
        self._scaler.load_state_dict(state["scaler"])
