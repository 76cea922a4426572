"""Attention on this device: fused against two matrix products, by pixels, channels per head and precision, in one run.

    OMP_NUM_THREADS=1 python tests/bench/attention.py

CPU seconds of this process, the least of some alternated runs: fused ÷ products, of a pass without gradients, and of
one with its backward pass. CPU_FUSED_ATTENTION_PIXELS is where both are at most about one.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor

from adm.models import implementations
from adm.models.implementations import NAIVE, Optimized

HEADS = 4
REPEATS = 7
PIXELS = (16, 64, 256, 1024, 4096)
LOGITS = 2**20
"""About as many logits per head and batch, so that each case takes some milliseconds."""


def seconds(attention: Callable[..., Tensor], tensors: list[Tensor], backward: bool) -> float:
    for tensor in tensors:
        tensor.requires_grad_(backward).grad = None
    began = time.process_time()
    attended = attention(*tensors)
    if backward:
        attended.sum().backward()  # type: ignore[no-untyped-call]
    return time.process_time() - began


def ratio(tensors: list[Tensor], backward: bool) -> float:
    """Of the fused one's time to that of the products."""
    pairs = [
        [seconds(each, tensors, backward) for each in (Optimized().attention, NAIVE.attention)] for _ in range(REPEATS)
    ]
    fused, products = (min(times) for times in zip(*pairs, strict=True))
    return fused / products


def main() -> None:
    torch.set_num_threads(1)
    implementations.CPU_FUSED_ATTENTION_PIXELS.update(dict.fromkeys((2, 4), 0))  # always
    print("| precision | channels per head | pixels | forward | with its backward |")
    print("|---|---:|---:|---:|---:|")
    for dtype in (torch.float32, torch.bfloat16):
        for channels in (32, 64):
            for pixels in PIXELS:
                images = max(1, min(32, LOGITS // pixels**2))
                tensors = [torch.randn(images, HEADS, channels, pixels).to(dtype) for _ in range(3)]
                ratios = (ratio(tensors, backward) for backward in (False, True))
                shown = " | ".join(f"{each:.2f}" for each in ratios)
                print(f"| {str(dtype).removeprefix('torch.')} | {channels} | {pixels:,} | {shown} |", flush=True)


if __name__ == "__main__":
    main()
