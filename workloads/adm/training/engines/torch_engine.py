"""PyTorch without DeepSpeed: fused Adam or AdamW, autocast, and GradScaler."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from adm.config import TrainConfig
from adm.training.engines.engine import BETAS, LossFn, RanOutOfMemory, StepReport, named_parameters
from adm.training.precision import computing_in, sent_as
from assay.workload import group
from assay.workload.gradients import GradientAverage


class TorchEngine:
    name = "torch"

    def __init__(
        self,
        model: nn.Module,
        config: TrainConfig,
        device: str,
        precision: str,
        micro_batches: int = 1,
        *,
        fused: bool = True,
    ) -> None:
        """`fused` computes Adam in one kernel instead of one parameter and operation at a time. `micro_batches` is not
        used: a step may have any number."""
        self.model = model
        self._named = named_parameters(model)
        self._device, self._precision = device, precision
        self._clip = config.gradient_clip if config.gradient_clip is not None else math.inf
        optimizer = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.optimizer]
        self._optimizer: torch.optim.Optimizer = optimizer(
            [p for _, p in self._named],
            lr=config.learning_rate,
            betas=BETAS,
            weight_decay=config.weight_decay,
            fused=fused,
            foreach=False,
        )
        self._scaler = torch.amp.GradScaler(torch.device(device).type, enabled=precision == "fp16")
        self._average = GradientAverage([p for _, p in self._named], sent_as(config, precision))

    def step(self, micro_batches: Sequence[LossFn], learning_rate: float) -> StepReport:
        for parameters in self._optimizer.param_groups:
            parameters["lr"] = learning_rate
        message = self._add_gradients(micro_batches)
        if group.any_worker(message is not None, self._device):
            self._optimizer.zero_grad(set_to_none=True)
            raise RanOutOfMemory(message or "another worker ran out of memory")
        scale = float(self._scaler.get_scale())
        self._scaler.unscale_(self._optimizer)
        norm = float(nn.utils.clip_grad_norm_([p for _, p in self._named], self._clip))
        taken = math.isfinite(norm)
        if taken or self._scaler.is_enabled():
            self._scaler.step(self._optimizer)
            self._scaler.update()
        return StepReport(taken, norm, scale)

    def _add_gradients(self, micro_batches: Sequence[LossFn]) -> str | None:
        """Compute the gradients, averaged over the group. Returns the error's message if this worker's memory runs out:
        the error itself would keep the memory of its frames."""
        self._optimizer.zero_grad(set_to_none=True)
        message = None
        try:
            for left, loss_fn in zip(reversed(range(len(micro_batches))), micro_batches, strict=True):
                with computing_in(self._precision, self._device):
                    loss = loss_fn(self.model)
                if left == 0:
                    self._average.start()
                self._scaler.scale(loss / len(micro_batches)).backward()  # type: ignore[no-untyped-call]
        except torch.OutOfMemoryError as error:
            message = str(error)
        self._average.finish()
        return message

    def moments(self) -> Iterator[tuple[str, Tensor, Tensor]]:
        for name, parameter in self._named:
            state = self._optimizer.state[parameter]
            yield name, state["exp_avg"], state["exp_avg_sq"]

    def counters(self) -> dict[str, float]:
        taken = float(self._optimizer.state[self._named[0][1]]["step"])
        return {"steps_taken": taken, **loss_scale_state(self._scaler)}

    def load(self, moments: Mapping[str, tuple[Tensor, Tensor]], counters: Mapping[str, float]) -> None:
        for name, parameter in self._named:
            m, v = moments[name]
            self._optimizer.state[parameter] = {
                "step": torch.tensor(counters["steps_taken"], dtype=torch.float32, device=parameter.device),
                "exp_avg": m.to(parameter.device).clone(),
                "exp_avg_sq": v.to(parameter.device).clone(),
            }
        restore_loss_scale(self._scaler, counters)


def loss_scale_state(scaler: torch.amp.GradScaler) -> dict[str, float]:
    if not scaler.is_enabled():
        return {}
    state = scaler.state_dict()
    return {"loss_scale": state["scale"], "steps_at_scale": state["_growth_tracker"]}


def restore_loss_scale(scaler: torch.amp.GradScaler, counters: Mapping[str, float]) -> None:
    if scaler.is_enabled() and "loss_scale" in counters:
        state = scaler.state_dict()
        state |= {"scale": counters["loss_scale"], "_growth_tracker": int(counters["steps_at_scale"])}
        scaler.load_state_dict(state)
