"""Which number format to compute in. Weights, EMA and optimizer state are 32-bit always (appendix K)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from adm.config import Precision
from adm.training.group import gather
from adm.training.shares import fp16_on_cpu
from assay.errors import AssayWarning
from assay.workload import StageContext

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def choose(ctx: StageContext, path: str, precision: Precision) -> str:
    """What the stage computes in, of what its config asks for at `path`; said to the user and kept with the result.

    Called on every worker of a group: "auto" is the same for all, since gradients are averaged at one loss scale.
    Raises UserError for fp16 on a CPU.
    """
    if precision == "fp16" and ctx.device == "cpu":
        raise fp16_on_cpu(path)
    chosen = _best_for_all(path, ctx.device) if precision == "auto" else precision
    ctx.note(path, chosen)
    return chosen


def _best_for_all(path: str, device: str) -> str:
    """What "auto" means: fp16 on a V100, bf16 where the device is good at it, fp32 otherwise. On different devices, the
    best that all are good at."""
    found = gather(good_at(device))
    chosen = next(ours for ours in found[0] if all(ours in theirs for theirs in found))
    if missed := sorted({best for best, *_ in found} - {chosen}):
        warnings.warn(
            f"{path} auto: not all workers are on devices as good at {' and '.join(missed)}; all compute in {chosen}",
            AssayWarning,
            stacklevel=3,
        )
    return chosen


def good_at(device: str) -> tuple[str, ...]:
    """Formats that a device computes in as fast as it can, best first; fp32 is always among them."""
    if device == "cpu":
        return ("bf16", "fp32") if _cpu_multiplies_bf16() else ("fp32",)
    capability = torch.cuda.get_device_capability(device)
    if capability >= (8, 0):
        return ("bf16", "fp16", "fp32")
    return ("fp16", "fp32") if capability >= (7, 0) else ("fp32",)


def _cpu_multiplies_bf16() -> bool:
    """Has it instructions for products of bf16 (AMX, AVX-512 BF16)? Without them bf16 is slower than fp32."""
    return torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()


@contextmanager
def computing_in(precision: str, device: str) -> Iterator[None]:
    """Autocast to a resolved precision; nothing for fp32."""
    with torch.autocast(device.split(":")[0], dtype=DTYPES[precision], enabled=precision != "fp32"):
        yield
