"""What noise costs: nanoseconds per value, and its share of a sampling step.

    python tests/bench/noise.py --presets imagenet64 imagenet256

Three ways: torch.randn; by image, as samples are drawn; and by a counter in PyTorch's integer operations, which would
run on any device. Times are CPU seconds of one thread, so other work changes them little. A step is a forward pass of
one image here; on a GPU, its operations at assay's utilisation of the peak.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor

from adm import models, presets
from adm.compute.network import network_cost
from assay.costs.devices import UTILISATION, find_device
from imaging.noise import IndexedNoise

MASK = 2**32 - 1
IMAGES, SHAPE = 16, (3, 64, 64)


def product(word: Tensor, factor: int) -> tuple[Tensor, Tensor]:
    """The high and low 32 bits of a product of words of 32 bits, in 64 bits with a sign."""
    low = (word & 0xFFFF) * factor
    high = (word >> 16) * factor + (low >> 16)
    return high >> 16, ((high & 0xFFFF) << 16) | (low & 0xFFFF)


def philox(words: tuple[Tensor, Tensor, Tensor, Tensor], key: tuple[int, int]) -> tuple[Tensor, ...]:
    """Philox4x32-10 (Salmon et al. 2011)."""
    a, b, c, d = words
    first, second = key
    for _ in range(10):
        (high_a, low_a), (high_c, low_c) = product(a, 0xD2511F53), product(c, 0xCD9E8D57)
        a, b, c, d = high_c ^ b ^ first, low_c, high_a ^ d ^ second, low_a
        first, second = (first + 0x9E3779B9) & MASK, (second + 0xBB67AE85) & MASK
    return a, b, c, d


def by_counter(ids: Tensor, step: int, count: int) -> Tensor:
    """Normal noise of images, (n, count): row i depends on (ids[i], step) alone. Box–Muller in 64 bits."""
    block = torch.arange(count // 4).expand(len(ids), -1)
    words = philox(
        (block, ids[:, None].expand_as(block), torch.full_like(block, step), torch.zeros_like(block)), (0, 0)
    )
    u = [(word.double() + 0.5) / 2**32 for word in words]
    radii, angles = [(-2 * u[i].log()).sqrt() for i in (0, 2)], [2 * math.pi * u[i] for i in (1, 3)]
    values = [r * turn for r, t in zip(radii, angles, strict=True) for turn in (t.cos(), t.sin())]
    return torch.stack(values, dim=-1).flatten(1).float()


def cpu_s(work: Callable[[], object], repeat: int) -> float:
    work()
    taken = []
    for _ in range(repeat):
        started = time.process_time()
        work()
        taken.append(time.process_time() - started)
    return median(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", nargs="*", default=["imagenet64"])
    parser.add_argument("--repeat", type=int, default=9)
    args = parser.parse_args()
    torch.set_num_threads(1)
    known = philox(tuple(torch.tensor([0]) for _ in range(4)), (0, 0))  # type: ignore[arg-type]
    assert [int(word) for word in known] == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8], "the authors' test vector"
    indexed, ids, count = IndexedNoise(0), torch.arange(IMAGES), math.prod(SHAPE)
    generator = torch.Generator().manual_seed(0)
    ways: dict[str, Callable[[], object]] = {
        "torch.randn": lambda: torch.randn(IMAGES, *SHAPE, generator=generator),
        "by image": lambda: indexed.step(ids, 1, SHAPE),
        "by counter": lambda: by_counter(ids, 1, count),
    }
    ns = {name: cpu_s(work, args.repeat) / (IMAGES * count) * 1e9 for name, work in ways.items()}
    for name, value in ns.items():
        print(f"{name}: {value:.2f} ns per value")
    print("preset | on | forward ms per image | noise by image ms | share of a DDPM step | of a DDIM-25 step")
    for name in args.presets:
        model = presets.load(name).model
        noise = ns["by image"] * model.in_channels * model.image_size**2 / 1e9
        steps = {"V100": 0.0, "H100": 0.0}
        for gpu in steps:
            device = find_device(gpu)
            assert device is not None
            assert device.peak_flops is not None
            steps[gpu] = network_cost(model).flops / (UTILISATION * device.peak_flops)
        steps["this CPU, bf16"] = forward_s(name)
        for machine, forward in steps.items():
            shares = f"{noise / (noise + forward):.2%} | {noise / (noise + 25 * forward):.3%}"
            print(f"{name} | {machine} | {forward * 1e3:.2f} | {noise * 1e3:.2f} | {shares}", flush=True)


@torch.no_grad()
def forward_s(preset: str) -> float:
    config = presets.load(preset).model
    network = models.build(config).eval()
    x, t = torch.randn(1, config.in_channels, config.image_size, config.image_size), torch.tensor([5])
    y = torch.tensor([1]) if config.num_classes else None
    with torch.autocast("cpu", torch.bfloat16):
        return cpu_s(lambda: network(x, t, y), 1)


if __name__ == "__main__":
    main()
