"""Images a second of training: one model and batch, naive and optimized, by precision and engine, in one run.

    python tests/bench/training.py --preset cifar10 --batch 64 --threads 2

The floor is what this machine's convolutions alone would take: the step's FLOPs (backward = 2 × forward) at the rate
measured here, in the same run, on the network's own middle resolution.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable

import torch
from torch import nn

from adm import models, presets
from adm.compute.v100 import training_flops
from adm.diffusion import Diffusion
from adm.training.engines import build
from adm.training.precision import DTYPES


def seconds(work: Callable[[], object], repeat: int, device: str) -> float:
    """Median of `repeat` runs after two to warm up."""
    taken = []
    for index in range(repeat + 2):
        started = time.perf_counter()
        work()
        if device != "cpu":
            torch.cuda.synchronize()
        if index >= 2:
            taken.append(time.perf_counter() - started)
    return sorted(taken)[len(taken) // 2]


def convolution_rate(channels: int, size: int, batch: int, precision: str, device: str) -> float:
    """FLOPs a second of a 3×3 convolution, forward and backward."""
    dtype = DTYPES[precision]
    conv = nn.Conv2d(channels, channels, 3, padding=1).to(device, dtype)
    x = torch.randn(batch, channels, size, size, device=device, dtype=dtype, requires_grad=True)
    if device != "cpu":
        conv, x = conv.to(memory_format=torch.channels_last), x.detach().to(memory_format=torch.channels_last)
    flops = 3 * 2 * 9 * channels**2 * size**2 * batch
    return flops / seconds(lambda: conv(x).sum().backward(), 5, device)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="cifar10")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--precisions", nargs="+", default=["fp32", "bf16"])
    parser.add_argument("--engines", nargs="+", default=["torch"])
    parser.add_argument("--repeat", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    config = presets.load(args.preset)
    diffusion = Diffusion.from_config(config.diffusion)
    flops = training_flops(config.model) * args.batch
    name = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {args.threads} threads"
    print(f"{args.preset}, batch {args.batch}, {flops / args.batch / 1e9:.2f} GFLOP an image to train, {name}")
    middle = config.model.image_size // 2
    rates = {p: convolution_rate(128, middle, args.batch, p, device) for p in args.precisions}
    first = None
    for engine, precision, how in itertools.product(args.engines, args.precisions, ("naive", "optimized")):
        torch.manual_seed(0)
        model = models.build(config.model.model_copy(update={"implementation": how})).to(device).train()
        train = config.train.model_copy(update={"batch_size": args.batch, "engine": engine})
        optimizer = build(model, train, device, precision)
        shape = (args.batch, config.model.in_channels, config.model.image_size, config.model.image_size)
        x0, noise = torch.randn(shape, device=device), torch.randn(shape, device=device)
        t = torch.randint(diffusion.num_timesteps, (args.batch,), device=device)
        classes = config.model.num_classes
        given = {"y": torch.randint(classes, (args.batch,), device=device)} if classes else {}

        def loss(network: nn.Module, x0=x0, t=t, noise=noise, given=given) -> torch.Tensor:  # type: ignore[no-untyped-def]
            return diffusion.losses(network, x0, t, noise, model_kwargs=given)["loss"].mean()

        taken = seconds(lambda o=optimizer, f=loss: o.step([f], 1e-4), args.repeat, device)  # type: ignore[misc]
        first = first or taken
        print(
            f"{engine:10} {precision:5} {how:10} {taken * 1e3:8.1f} ms a step {args.batch / taken:8.1f} images/s"
            f"  {first / taken:5.2f}× the first  {flops / taken / 1e9:7.1f} GFLOP/s, "
            f"{flops / taken / rates[precision]:.0%} of its convolutions' {rates[precision] / 1e9:.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
