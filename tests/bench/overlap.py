"""Time of a training step of two workers across a slow link: gradients averaged after the backward pass, and during it.

    python tests/bench/overlap.py --network waiting

As root on Linux: each worker is in a network namespace of its own, and `tc` limits the link between the two so that
sending all gradients takes a given share of the time of computing them. Both ways alternate in one run. The network
`waiting` sleeps where others compute, as a CPU does beside a GPU: its figures hold on a machine that has other work.

Floor: forward + max(backward, sending), where the backward pass takes two thirds of a step, over the sum of all three.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from adm import models, presets
from adm.config import Config, ModelConfig
from adm.diffusion import Diffusion
from adm.training.batches import Batch
from adm.training.engines.torch_engine import TorchEngine
from adm.training.stages import objective_of
from assay.workload import group

DEVICE = "wire"
"""The name of either end of the link, each in its own namespace."""


class AfterBackward:
    """All gradients in one all-reduce at the end, as both engines had it before they overlapped the two."""

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self.parameters = parameters

    def start(self) -> None: ...

    def finish(self) -> None:
        group.average([p.grad for p in self.parameters if p.grad is not None])


class Alone(AfterBackward):
    """No communication."""

    def finish(self) -> None: ...


class Wait(torch.autograd.Function):
    """A layer that takes its time, without the processor: twice as long backwards."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, seconds: float) -> Tensor:
        ctx.shape, ctx.seconds = weight.shape, seconds
        time.sleep(seconds)
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        time.sleep(2 * ctx.seconds)
        return gradient, torch.full(ctx.shape, 1e-3), None


class Waiting(nn.Module):
    """48 layers with 3.3 MB of weights, whose step takes 0.3 s."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.ParameterList(torch.zeros(17_000) for _ in range(48))

    def forward(self, x: Tensor) -> Tensor:
        for weight in self.weights:
            x = Wait.apply(x, weight, 0.1 / len(self.weights))  # type: ignore[no-untyped-call]
        return x.sum()


def missing() -> str | None:
    """What this machine lacks to join two namespaces by a limited link, or None."""
    if not sys.platform.startswith("linux"):
        return "Linux"
    if os.geteuid() != 0:
        return "root, to make network namespaces"
    if shutil.which("ip") is None or shutil.which("tc") is None:
        return "ip and tc (Debian's package iproute2)"
    try:
        with link():
            limit(_name(0), 1e9)
    except subprocess.CalledProcessError as error:
        return f"network namespaces and tc tbf: {' '.join(error.cmd)} said {error.stderr.strip()}"
    return None


def _name(rank: int) -> str:
    return f"overlap{os.getpid()}-{rank}"


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


@contextmanager
def link() -> Iterator[list[str]]:
    """Two namespaces joined by a pair of interfaces; their names."""
    names = [_name(0), _name(1)]
    try:
        for name in names:
            run("ip", "netns", "add", name)
        peer = ("type", "veth", "peer", "name", DEVICE, "netns", names[1])
        run("ip", "link", "add", "name", DEVICE, "netns", names[0], *peer)
        for rank, name in enumerate(names):
            run("ip", "-n", name, "address", "add", f"10.77.0.{rank + 1}/24", "dev", DEVICE)
            run("ip", "-n", name, "link", "set", "dev", DEVICE, "up")
            run("ip", "-n", name, "link", "set", "lo", "up")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)


def limit(namespace: str, bytes_per_s: float) -> None:
    """Limit what a namespace sends."""
    rate = f"{bytes_per_s * 8 / 1000:.0f}kbit"
    shape = ("tbf", "rate", rate, "burst", "128kb", "limit", "8mb")
    run("tc", "-n", namespace, "qdisc", "replace", "dev", DEVICE, "root", *shape)


def loss_of(config: Config, model: ModelConfig, count: int, rank: int) -> Callable[[nn.Module], Tensor]:
    generator = torch.Generator().manual_seed(rank)
    shape = (count, model.in_channels, model.image_size, model.image_size)
    x0, noise = (torch.randn(shape, generator=generator) for _ in range(2))
    diffusion = Diffusion.from_config(config.diffusion)
    t = torch.randint(diffusion.num_timesteps, (count,), generator=generator)
    y = torch.randint(model.num_labels or 1, (count,), generator=generator)
    batch, objective = Batch(x0, y, t, torch.ones(count), noise), objective_of(diffusion, model)
    return lambda network: objective(network, batch)["loss"].mean()


def worker(args: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = DEVICE
    dist.init_process_group("gloo", init_method=f"file://{args.folder}/group", rank=args.rank, world_size=2)
    config = presets.load(args.preset)
    build: Callable[[], nn.Module]
    if args.network == "waiting":
        build, loss = Waiting, lambda network: network(torch.zeros(1, requires_grad=True))
    else:
        model = config.model if args.network == "model" or config.classifier is None else config.classifier.model
        build, loss = (lambda: models.build(model)), loss_of(config, model, args.batch, args.rank)
    train = config.train.model_copy(update={"batch_size": 2 * args.batch, "engine": "torch"})
    engines = {}
    for way, average in (("alone", Alone), ("after", AfterBackward), ("during", None)):
        torch.manual_seed(0)
        engines[way] = TorchEngine(build().train(), train, "cpu", "fp32")
        if average is not None:
            engines[way]._average = average([p for _, p in engines[way]._named])  # type: ignore[assignment]
    num_bytes = 4 * sum(p.numel() for p in engines["during"].model.parameters())

    def seconds(work: Callable[[], object]) -> float:
        """Of the slower worker."""
        dist.barrier()
        started = time.perf_counter()
        work()
        return max(group.gather(time.perf_counter() - started))

    def step(way: str) -> float:
        return seconds(lambda: engines[way].step([loss], 1e-4))

    def say(line: str) -> None:
        if args.rank == 0:
            print(line, flush=True)

    for way in engines:
        step(way)
    before = median(step("alone") for _ in range(args.repeat))
    say(
        f"{args.preset}, {args.network}, {args.batch} images a worker, {num_bytes / 1e6:.1f} MB of gradients, one "
        f"thread a worker, medians of {args.repeat}; a step without communication {before * 1e3:.0f} ms"
    )
    say("sending/step | link MB/s | alone | all-reduce | after | during | during/after (quartiles) | floor")
    for share in args.shares:
        bandwidth = num_bytes / (share * before)
        limit(args.namespace, bandwidth)
        gradients = torch.zeros(num_bytes // 4)
        taken: dict[str, list[float]] = {way: [] for way in (*engines, "all-reduce")}
        for _ in range(args.repeat):
            for way in engines:
                taken[way].append(step(way))
            taken["all-reduce"].append(seconds(lambda sent=gradients: group.average([sent])))  # type: ignore[misc]
        alone, after, during, sending = (median(taken[way]) for way in ("alone", "after", "during", "all-reduce"))
        ratios = quantiles([d / a for d, a in zip(taken["during"], taken["after"], strict=True)], n=4)
        floor = (alone / 3 + max(alone * 2 / 3, sending)) / (alone + sending)
        ms = " | ".join(f"{s * 1e3:.0f}" for s in (alone, sending, after, during))
        spread = f"{ratios[1]:.3f} ({ratios[0]:.3f} to {ratios[2]:.3f})"
        say(f"{share:g} | {bandwidth / 1e6:.1f} | {ms} | {spread} | {floor:.3f}")
    weights = [dict(engines[way].model.state_dict()) for way in ("after", "during")]
    difference = max(float((weights[0][name] - weights[1][name]).abs().max()) for name in weights[0])
    say(f"largest difference of a weight between the two ways: {difference:g}")
    dist.barrier()
    dist.destroy_process_group()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="digits")
    parser.add_argument("--network", choices=("model", "classifier", "waiting"), default="model")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--repeat", type=int, default=9)
    parser.add_argument("--shares", type=float, nargs="+", default=[0.5, 2 / 3, 0.8, 1.0, 1.5])
    parser.add_argument("--rank", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--namespace", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.rank is not None:
        worker(args)
        return
    if (lacking := missing()) is not None:
        sys.exit(f"this needs {lacking}")
    with tempfile.TemporaryDirectory() as folder, link() as names:
        workers = []
        for rank, name in enumerate(names):
            itself = [sys.executable, __file__, *sys.argv[1:], "--rank", str(rank), "--folder", folder]
            workers.append(subprocess.Popen(["ip", "netns", "exec", name, *itself, "--namespace", name]))
        codes = [process.wait() for process in workers]
    sys.exit(max(codes))


if __name__ == "__main__":
    main()
