"""What is computed without a GPU, beside what a GPU does: the memory of a training and of drawing, and rates of steps.

    python tests/gpu/check.py                      # minutes on one GPU; needs torch alone, neither Ray nor MLflow
    python tests/gpu/check.py --device cpu --presets tiny_digits    # tries the script

Each preset is taken at the batch size of table 7, optimized, in fp16. Exits with 1 if a GPU allocates more than 1.1
times what a plan counts: then a training that a plan says to fit may not. On a CPU, only what is allocated anew is
seen, and nothing is judged.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / folder) for folder in ("platform", "workloads", "tests/fixtures")]

import torch  # noqa: E402

from adm import models, presets  # noqa: E402
from adm.compute import training_flops  # noqa: E402
from adm.compute.memory import arithmetic, forward_bytes, training_memory, weight_copies  # noqa: E402
from adm.config import Config, ModelConfig  # noqa: E402
from adm.diffusion import Diffusion  # noqa: E402
from adm.training.batches import Batch  # noqa: E402
from adm.training.ema import EMA  # noqa: E402
from adm.training.engines.torch_engine import TorchEngine  # noqa: E402
from adm.training.precision import computing_in  # noqa: E402
from adm.training.stages import objective_of  # noqa: E402
from allocated import peak_of  # noqa: E402
from assay.costs.devices import find_device  # noqa: E402

BATCHES = {"imagenet64": 96, "imagenet128": 32, "imagenet256": 8, "upsample_64_256": 12, "upsample_128_512": 2}
"""Images per GPU in table 7's optimized rows."""
GIB = 2**30
ROOM = 1.1
REPEATS = 5


def peak(function: Callable[[], object], device: str) -> int:
    """Bytes allocated at most while the function runs; on a GPU, including what was held before."""
    if device == "cpu":
        return peak_of(function)
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    function()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated()


def seconds(function: Callable[[], object], device: str) -> float:
    """Median duration."""
    taken = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        function()
        if device != "cpu":
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def batch_of(model: ModelConfig, count: int, device: str) -> Batch:
    shape = (count, model.in_channels, model.image_size, model.image_size)
    x0, noise = (torch.randn(shape, device=device) for _ in range(2))
    t, y = (torch.zeros(count, dtype=torch.long, device=device) for _ in range(2))
    return Batch(x0, y, t, torch.ones(count, device=device), noise)


def trains(name: str, c: Config, count: int, device: str, precision: str) -> bool:
    """Take training steps; returns whether the GPU needs no more than is counted."""
    train = c.train.model_copy(update={"batch_size": count, "precision": precision, "zero_stage": 0})
    network = models.build(c.model).to(device).train()
    engine, average = TorchEngine(network, train, device, precision), EMA(network, train.ema_rates)
    objective, batch = objective_of(Diffusion.from_config(c.diffusion), c.model), batch_of(c.model, count, device)

    def step() -> None:
        engine.step([lambda net: objective(net, batch)["loss"].mean()], 1e-4)
        average.update()

    step()
    memory = training_memory(c.model, train, "train", "model")
    assert memory is not None
    fits = told(f"{name} trains {count}", memory.of_worker(count), peak(step, device))
    rate = count / seconds(step, device)
    known = None if device == "cpu" else find_device(torch.cuda.get_device_name())
    share = (
        "" if known is None or not known.peak_flops else f", {rate * training_flops(c.model) / known.peak_flops:.1%}"
    )
    print(f"{'':28}{rate:10.1f} images/s{share}", flush=True)
    return fits


@torch.no_grad()
def draws(name: str, c: Config, count: int, device: str, precision: str) -> bool:
    """Evaluate the network once without gradients; returns whether the GPU needs no more than is counted."""
    network, batch, size = (
        models.build(c.model).to(device).eval(),
        batch_of(c.model, count, device),
        c.model.low_res_size,
    )
    y = batch.y if c.model.num_classes else None
    low_res = {} if size is None else {"low_res": batch.x0[..., :size, :size]}

    def evaluate() -> None:
        with computing_in(precision, device):
            network(batch.x0, batch.t, y, **low_res)

    how = arithmetic(precision)
    held = sum(tensor.nbytes for tensor in network.parameters())
    counted = held + weight_copies(c.model, how) + count * forward_bytes(c.model, how)
    return told(f"{name} draws {count}", counted, peak(evaluate, device))


def told(what: str, counted: float, allocated: int) -> bool:
    ratio = allocated / counted
    print(f"{what:28}{counted / GIB:8.2f} GiB counted {allocated / GIB:8.2f} allocated {ratio:6.2f}×", flush=True)
    return ratio <= ROOM


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", nargs="+", default=list(BATCHES))
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    args = parser.parse_args()
    if args.device == "cuda" and not torch.cuda.is_available():
        print("needs a GPU that PyTorch can use; --device cpu tries the script with a small preset", file=sys.stderr)
        return 2
    name = "CPU" if args.device == "cpu" else torch.cuda.get_device_name()
    precision = "fp32" if args.device == "cpu" else "fp16"
    print(f"{name}, torch {torch.__version__}, {precision}")
    fit = []
    for preset in args.presets:
        c = presets.load(preset)
        case = preset, c, BATCHES.get(preset, c.train.batch_size), args.device, precision
        fit += [trains(*case), draws(*case)]
    return 0 if all(fit) or args.device == "cpu" else 1


if __name__ == "__main__":
    sys.exit(main())
