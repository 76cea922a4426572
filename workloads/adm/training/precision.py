"""The floating-point format of computation. Weights, EMA and optimizer state are always in 32 bits (appendix K)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from adm.config import Precision, TrainConfig
from adm.training.shares import fp16_on_cpu
from assay.errors import AssayWarning
from assay.workload import StageContext
from assay.workload.group import gather

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def choose(ctx: StageContext, path: str, precision: Precision) -> str:
    """Resolve the precision of a stage, which the config has at `path`, and note it with the result.

    Called on every worker of a group. "auto" resolves to the same precision on all, since gradients are averaged at one
    loss scale. Raises UserError for fp16 on a CPU.
    """
    if precision == "fp16" and ctx.device == "cpu":
        raise fp16_on_cpu(path)
    chosen = _best_for_all(path, ctx.device) if precision == "auto" else precision
    ctx.note(path, chosen)
    return chosen


def _best_for_all(path: str, device: str) -> str:
    """The precision for "auto": the best that is fast on the devices of all workers. On a V100 that is fp16, on later
    GPUs bf16."""
    formats = gather(fast_on(device))
    chosen = next(name for name in formats[0] if all(name in fast for fast in formats))
    if missed := sorted({best for best, *_ in formats} - {chosen}):
        warnings.warn(
            f"{path} auto: {' and '.join(missed)} is not fast on the devices of all workers; all compute in {chosen}",
            AssayWarning,
            stacklevel=3,
        )
    return chosen


def fast_on(device: str) -> tuple[str, ...]:
    """Formats in which a device computes at full speed, best first; always includes fp32."""
    if device == "cpu":
        return ("bf16", "fp32") if _cpu_multiplies_bf16() else ("fp32",)
    capability = torch.cuda.get_device_capability(device)
    if capability >= (8, 0):
        return ("bf16", "fp16", "fp32")
    return ("fp16", "fp32") if capability >= (7, 0) else ("fp32",)


def _cpu_multiplies_bf16() -> bool:
    """Whether the CPU has instructions for bf16 products (AMX, AVX-512 BF16), without which it is slower than fp32."""
    return torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()


@contextmanager
def computing_in(precision: str, device: str) -> Iterator[None]:
    """Autocast to a resolved precision; no effect for fp32."""
    with torch.autocast(device.split(":")[0], dtype=DTYPES[precision], enabled=precision != "fp32"):
        yield


def sent_as(config: TrainConfig, precision: str) -> torch.dtype | None:
    """The type in which workers exchange gradients under a resolved precision; None: that of the gradients, 32 bits."""
    return DTYPES[precision] if config.compress_gradients and precision != "fp32" else None
