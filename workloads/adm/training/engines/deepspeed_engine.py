"""DeepSpeed's fused Adam, ZeRO stages 0 to 2, gradient accumulation and clipping. Only this module imports it."""

from __future__ import annotations

import logging
import math
import os
import shutil
import subprocess
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from adm.config import TrainConfig
from adm.training.engines.compiling import compiling, operators_folder
from adm.training.engines.engine import BETAS, LossFn, RanOutOfMemory, StepReport, named_parameters
from adm.training.engines.torch_engine import loss_scale_state, restore_loss_scale
from adm.training.precision import DTYPES, sent_as
from assay.workload.gradients import BUCKET_BYTES, GradientAverage
from assay.workload.group import any_worker

INITIAL_LOSS_SCALE = 2.0**16
GROWTH_INTERVAL = 2000
"""Both are those of PyTorch's GradScaler, which DeepSpeed uses without ZeRO."""


@cache
def unavailable_reason(device_type: str) -> str | None:
    """Why DeepSpeed's operators are unavailable in this process, or None. The first call on a machine compiles them."""
    try:
        builder = _accelerator(device_type).create_op_builder("FusedAdamBuilder")
        flags = [flag for flag in builder.cxx_args() if flag != "-g"]  # no debug information: it only takes space
        builder.cxx_args = lambda: flags
        with compiling(operators_folder()):
            builder.load(verbose=False)  # DeepSpeed then uses the operators that are loaded in this process
    except (ImportError, RuntimeError, OSError, subprocess.SubprocessError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return lines[0].partition(": ")[0].rstrip(".") if lines else type(error).__name__
    return None


def _accelerator(device_type: str) -> Any:
    os.environ.setdefault("DS_ACCELERATOR", device_type)  # otherwise DeepSpeed guesses it, with a warning
    if shutil.which("ninja") is None:  # installed beside this Python, whose folder may not be on the path
        os.environ["PATH"] += os.pathsep + str(Path(sys.executable).parent)
    # Its autotuner, which only its launcher uses, imports all of MLflow: most of the time that this import would take.
    autotuner = types.ModuleType("deepspeed.autotuning.autotuner")
    autotuner.__dict__["Autotuner"] = None
    sys.modules.setdefault(autotuner.__name__, autotuner)
    import deepspeed.accelerator
    import deepspeed.ops
    from deepspeed.utils import logger

    logger.setLevel(logging.WARNING)
    # Otherwise it probes each of its operators, and on a CPU compiles one that is for inference only.
    deepspeed.ops.__compatible_ops__ = {}
    return deepspeed.accelerator.get_accelerator()


class DeepSpeedEngine:
    name = "deepspeed"

    def __init__(
        self, model: nn.Module, config: TrainConfig, device: str, precision: str, micro_batches: int = 1
    ) -> None:
        _accelerator(torch.device(device).type)
        import deepspeed

        _join_group("gloo" if torch.device(device).type == "cpu" else "nccl")
        self.model = model
        self._named = named_parameters(model)
        self._engine, self._optimizer, _, _ = deepspeed.initialize(
            model=model, config=_settings(config, precision, micro_batches)
        )
        self._uses_zero = config.zero_stage > 0
        if not self._uses_zero:
            self._average = GradientAverage([p for _, p in self._named], sent_as(config, precision))
        self._device, self._on_cpu = device, torch.device(device).type == "cpu"
        self._scale = _ZeroLossScale(self._optimizer) if self._uses_zero and precision == "fp16" else None

    def step(self, micro_batches: Sequence[LossFn], learning_rate: float) -> StepReport:
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        scale = self._loss_scale()
        if self._uses_zero:
            for loss_fn in micro_batches[:-1]:
                self._engine.backward(self._loss(loss_fn))
                self._engine.step()  # only counts the micro-batch; the step is taken at the last one
            self._engine.backward(self._loss(micro_batches[-1]))
            self._engine.step()
            taken = not self._optimizer.overflow
            norm = float(self._optimizer._global_grad_norm)
            if self._scale is not None:
                self._scale.update(taken)
            return StepReport(taken, norm, scale)
        self._average_gradients(micro_batches)
        # They are still multiplied by the loss scale.
        norm = float(nn.utils.get_total_norm([p.grad for _, p in self._named if p.grad is not None])) / scale
        taken = math.isfinite(norm)
        if taken or self._scaler is not None:
            self._engine.step()
        return StepReport(taken, norm, scale)

    def _average_gradients(self, micro_batches: Sequence[LossFn]) -> None:
        """The gradients of all micro-batches, averaged over the group during the last backward pass. A worker that ran
        out of memory takes part in what is left of it, so that all can go on with smaller ones. Under ZeRO, which
        averages by itself, this cannot be told, and the error ends the group."""
        self._engine.set_train_batch_size(len(micro_batches) * self._engine.dp_world_size)
        self._engine.set_gradient_accumulation_boundary(True)
        message = None
        try:
            with self._engine.no_sync():
                for left, loss_fn in zip(reversed(range(len(micro_batches))), micro_batches, strict=True):
                    loss = self._loss(loss_fn)
                    if left == 0:
                        self._average.start()
                    self._engine.backward(loss)
        except torch.OutOfMemoryError as error:
            message = str(error)
        for _, parameter in self._named:
            if parameter.grad is None:  # DeepSpeed's Adam wants them all
                parameter.grad = torch.zeros_like(parameter)
        self._average.finish()
        if any_worker(message is not None, self._device):
            for _, parameter in self._named:
                parameter.grad = None
            raise RanOutOfMemory(message or "another worker ran out of memory")

    def _loss(self, loss_fn: LossFn) -> Tensor:
        from deepspeed.runtime.torch_autocast import autocast_if_enabled

        with autocast_if_enabled(self._engine):
            return loss_fn(self._engine.module)

    @property
    def _scaler(self) -> torch.amp.GradScaler | None:
        """DeepSpeed's own scaler, in fp16 without ZeRO."""
        return self._engine.torch_autocast_z0_gradscaler

    def _loss_scale(self) -> float:
        if self._scale is not None:
            return self._scale.value
        return float(self._scaler.get_scale()) if self._scaler is not None else 1.0

    def moments(self) -> Iterator[tuple[str, Tensor, Tensor]]:
        from deepspeed.utils import safe_get_full_optimizer_state

        for name, parameter in self._named:
            if self._uses_zero:
                m = safe_get_full_optimizer_state(parameter, "exp_avg")
                v = safe_get_full_optimizer_state(parameter, "exp_avg_sq")
                yield name, m, v
            else:
                state = self._optimizer.state[parameter]
                yield name, state["exp_avg"], state["exp_avg_sq"]

    def counters(self) -> dict[str, float]:
        # Fused Adam counts steps in the state of its last parameter alone.
        taken = max(state["step"] for state in self._adam.state.values())
        counters = {"steps_taken": float(taken)}
        if self._scale is not None:
            counters |= self._scale.counters()
        elif self._scaler is not None:
            counters |= loss_scale_state(self._scaler)
        return counters

    @property
    def _adam(self) -> Any:
        return self._optimizer.optimizer if self._uses_zero else self._optimizer

    def load(self, moments: Mapping[str, tuple[Tensor, Tensor]], counters: Mapping[str, float]) -> None:
        from deepspeed.utils import safe_set_full_optimizer_state

        steps = int(counters["steps_taken"])
        if self._uses_zero:
            # DeepSpeed would create Adam's state, and link it to the parameters, only at the first step.
            for group in self._adam.param_groups:
                for part in group["params"]:
                    averages = {key: torch.zeros_like(part) for key in ("exp_avg", "exp_avg_sq")}
                    self._adam.state[part] = {"step": steps, **averages}
            self._optimizer._lazy_init_hp_params_optimizer_state()
            for name, parameter in self._named:
                for key, value in zip(("exp_avg", "exp_avg_sq"), moments[name], strict=True):
                    safe_set_full_optimizer_state(parameter, value.to(parameter.device), key)
        else:
            for name, parameter in self._named:
                m, v = (moment.to(parameter.device).clone() for moment in moments[name])
                self._adam.state[parameter] = {"step": steps, "exp_avg": m, "exp_avg_sq": v}
        if self._on_cpu:
            self._replay_bias_correction(steps)
        if self._scale is not None:
            self._scale.load(counters)
        elif self._scaler is not None:
            restore_loss_scale(self._scaler, counters)

    def _replay_bias_correction(self, steps: int) -> None:
        """Make the CPU operator's bias correction round as if it had taken all steps itself.

        It accumulates β^t from step to step in 32 bits, for the whole process; started at a later step, it would
        compute the power at once, which rounds differently.
        """
        zeros = [[torch.zeros(1)] for _ in range(4)]
        for step in range(1, steps + 1):
            self._adam.multi_tensor_adam(
                1, self._adam._dummy_overflow_buf, zeros, 0.0, *BETAS, 1e-8, step, self._adam.adam_w_mode, 1, 0.0
            )


class _ZeroLossScale:
    """Dynamic loss scale for ZeRO under autocast: halved at an overflow, doubled after GROWTH_INTERVAL good steps.

    DeepSpeed 0.19's own scale never decreases there: a step that overflows returns before it updates the scaler.
    """

    def __init__(self, optimizer: Any) -> None:
        self._optimizer = optimizer
        optimizer.torch_autocast_gradscaler = None
        self.set(INITIAL_LOSS_SCALE, 0)

    def counters(self) -> dict[str, float]:
        return {"loss_scale": self.value, "steps_at_scale": self.steps}

    def load(self, counters: Mapping[str, float]) -> None:
        if "loss_scale" in counters:
            self.set(counters["loss_scale"], int(counters["steps_at_scale"]))

    def set(self, value: float, steps: int) -> None:
        self.value, self.steps = value, steps
        self._optimizer.override_loss_scale(value)

    def update(self, taken: bool) -> None:
        if not taken:
            self.set(self.value / 2, 0)
        elif self.steps + 1 == GROWTH_INTERVAL:
            self.set(self.value * 2, 0)
        else:
            self.steps += 1


def _settings(config: TrainConfig, precision: str, micro_batches: int) -> dict[str, Any]:
    """DeepSpeed's config (https://www.deepspeed.ai/docs/config-json)."""
    return {
        "train_micro_batch_size_per_gpu": 1,  # only for DeepSpeed's own counting, since shares may be uneven
        "gradient_accumulation_steps": micro_batches,
        "gradient_clipping": config.gradient_clip or 0.0,
        "optimizer": {
            "type": "Adam",
            "params": {
                "adam_w_mode": config.optimizer == "adamw",
                "lr": config.learning_rate,
                "betas": list(BETAS),
                "weight_decay": config.weight_decay,
            },
        },
        "zero_optimization": _zero(config.zero_stage),
        "torch_autocast": {
            "enabled": precision != "fp32",
            "dtype": str(DTYPES[precision]).removeprefix("torch."),
            "lower_precision_safe_modules": [],  # ZeRO averages gradients in 32 bits
        },
        "steps_per_print": None,
    }


def _zero(stage: int) -> dict[str, Any]:
    """ZeRO that averages gradients during the backward pass. By default it would send all of them at its end, unless
    there are more than half a billion."""
    if stage == 0:
        return {"stage": 0}
    return {"stage": stage, "overlap_comm": dist.get_world_size() > 1, "reduce_bucket_size": BUCKET_BYTES // 4}


def _join_group(backend: str) -> None:
    """DeepSpeed needs a process group even for one worker. Ray Train's is used if there is one."""
    os.environ.setdefault("LOCAL_RANK", "0")
    if not dist.is_initialized():
        store = dist.HashStore()  # type: ignore[attr-defined]
        dist.init_process_group(backend, store=store, rank=0, world_size=1)
