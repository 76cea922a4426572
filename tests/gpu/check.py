"""What is computed without a GPU, beside what a GPU does: parity, memory, rates, loss scales. A table, and JSON.

    python tests/gpu/check.py [--json FILE]    # under 8 minutes on one GPU; needs torch, neither Ray nor MLflow
    python tests/gpu/check.py --device cpu     # the same in miniature

Parts, in the order of --parts: `parity` compares each implementation and precision with the naive network in fp32.
`training` takes each preset at the batch size of table 7: peak memory beside what a plan counts, images/s, and the
share of the device's peak. `sampling` draws with DDIM and DDPM, guided and not. `adam` trains for 200 steps and tells
how the loss scale moved. `inception` and `noise` are rates. A part that would begin after --minutes is not run.

Exits with 1 if an output is further from fp32 than its precision explains, if the training diverges, or if a GPU
allocates more than 1.1 times what a plan counts: then a training that a plan says to fit may not. On a CPU, only what
is allocated anew is seen, and memory is not judged.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / folder) for folder in ("platform", "workloads", "tests/fixtures")]

import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402

import inception_by_rule  # noqa: E402
from adm import models, presets  # noqa: E402
from adm.compute import training_flops  # noqa: E402
from adm.compute.memory import arithmetic, forward_bytes, training_memory, weight_copies  # noqa: E402
from adm.config import Config, ModelConfig  # noqa: E402
from adm.diffusion import Diffusion, classifier_gradient  # noqa: E402
from adm.models.implementations import IMPLEMENTATIONS  # noqa: E402
from adm.training.batches import Batch  # noqa: E402
from adm.training.ema import EMA  # noqa: E402
from adm.training.engines.torch_engine import TorchEngine  # noqa: E402
from adm.training.precision import DTYPES, computing_in  # noqa: E402
from adm.training.stages import objective_of  # noqa: E402
from allocated import peak_of  # noqa: E402
from assay.costs.devices import find_device  # noqa: E402
from imaging.extractors.inception import InceptionV3, Precision  # noqa: E402
from imaging.noise import IndexedNoise  # noqa: E402

BATCHES = {"imagenet64": 96, "imagenet128": 32, "imagenet256": 8, "upsample_64_256": 12, "upsample_128_512": 2}
"""Images per GPU in table 7's optimized rows."""
TOLERANCES = {"fp32": 1e-4, "bf16": 5e-2, "fp16": 1e-2}
"""Largest |output − output in fp32| / |output in fp32| that rounding explains, also of gradients."""
GIB = 2**30
ROOM = 1.1

Row = dict[str, Any]
"""A line of the table: "case", figures by name, and "fails" if the figures are judged to be wrong."""


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    presets: tuple[str, ...]
    implementations: tuple[str, ...]
    precision: str
    """Of training and sampling."""
    drawn: int
    """Images drawn at a time."""
    drawing_steps: int
    adam_batch: int
    adam_steps: int
    inception_batch: int
    repeats: int


FULL = Size(tuple(BATCHES), tuple(IMPLEMENTATIONS), "fp16", 64, 25, 32, 200, 64, 5)
MINIATURE = Size(("tiny_digits",), ("naive", "optimized"), "fp32", 4, 3, 8, 8, 1, 1)
MAIN = "imagenet64"
"""The preset of sampling and adam, if it is among the presets; else the first."""


@dataclass(frozen=True)
class Check:
    device: str
    size: Size

    @property
    def main_preset(self) -> str:
        return MAIN if MAIN in self.size.presets else self.size.presets[0]

    def wait(self) -> None:
        if self.device != "cpu":
            torch.cuda.synchronize()

    def peak(self, function: Callable[[], object]) -> int:
        """Bytes allocated at most while the function runs; on a GPU, including what was held before."""
        if self.device == "cpu":
            return peak_of(function)
        self.wait()
        torch.cuda.reset_peak_memory_stats()
        function()
        self.wait()
        return torch.cuda.max_memory_allocated()

    def seconds(self, function: Callable[[], object]) -> float:
        """Median duration, after one call that is not counted."""
        taken = []
        for _ in range(self.size.repeats + 1):
            self.wait()
            started = time.perf_counter()
            function()
            self.wait()
            taken.append(time.perf_counter() - started)
        return statistics.median(taken[1:])

    def build(self, model: ModelConfig) -> nn.Module:
        with torch.device(self.device):
            return models.build(model)

    def batch(self, model: ModelConfig, count: int) -> Batch:
        shape = (count, model.in_channels, model.image_size, model.image_size)
        x0, noise = (torch.randn(shape, device=self.device) for _ in range(2))
        t, y = (torch.zeros(count, dtype=torch.long, device=self.device) for _ in range(2))
        return Batch(x0, y, t, torch.ones(count, device=self.device), noise)


def parity(check: Check) -> Iterator[Row]:
    """Outputs and gradients of a small network with all kinds of layers."""
    model = ModelConfig(
        image_size=32,
        in_channels=3,
        out_channels=6,
        channels=64,
        num_res_blocks=1,
        channel_mult=(1, 2),
        attention_resolutions=(32, 16),
        head_channels=32,
        num_classes=10,
        implementation="naive",
    )
    weights = drawn_weights(check.build(model))
    batch, y = check.batch(model, 2), torch.arange(2, device=check.device)
    t = torch.tensor([10.0, 900.0], device=check.device)

    def outcome(implementation: str, precision: str) -> tuple[Tensor, Tensor]:
        network = check.build(model.model_copy(update={"implementation": implementation}))
        network.load_state_dict(weights)
        x = batch.x0.clone().requires_grad_(True)
        with computing_in(precision, check.device):
            output = network.eval()(x, t, y).float()
        return output.detach(), torch.autograd.grad((output * batch.noise.repeat(1, 2, 1, 1)).sum(), x)[0]

    expected = outcome("naive", "fp32")
    for implementation in check.size.implementations:  # a CPU takes minutes to compile
        for precision in DTYPES if check.device != "cpu" else ("fp32", "bf16"):
            if precision == "bf16" and check.device != "cpu" and torch.cuda.get_device_capability() < (8, 0):
                continue
            found = outcome(implementation, precision)
            output, gradient = (distance(one, of) for one, of in zip(found, expected, strict=True))
            fails = not max(output, gradient) <= TOLERANCES[precision]
            yield {"case": f"{implementation} {precision}", "output": output, "gradient": gradient, "fails": fails}


def drawn_weights(network: nn.Module) -> dict[str, Tensor]:
    """Random weights of the usual sizes: a fresh network's output is 0."""
    return {
        name: torch.randn_like(value) * value[0].numel() ** -0.5 if value.ndim > 1 else value
        for name, value in network.state_dict().items()
    }


def distance(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


def training(check: Check) -> Iterator[Row]:
    for name in check.size.presets:
        c = presets.load(name)
        count = BATCHES.get(name, c.train.batch_size)
        yield from (trained(check, name, c, count), evaluated(check, name, c, count))


def trained(check: Check, name: str, c: Config, count: int) -> Row:
    precision, device = check.size.precision, check.device
    train = c.train.model_copy(update={"batch_size": count, "precision": precision, "zero_stage": 0})
    network = check.build(c.model).train()
    engine, average = TorchEngine(network, train, device, precision), EMA(network, train.ema_rates)
    objective, batch = objective_of(Diffusion.from_config(c.diffusion), c.model), check.batch(c.model, count)

    def step() -> None:
        engine.step([lambda net: objective(net, batch)["loss"].mean()], 1e-4)
        average.update()

    step()
    memory = training_memory(c.model, train, "train", "model")
    assert memory is not None
    row = memory_row(check, f"{name} trains {count}", memory.of_worker(count), check.peak(step))
    rate = count / check.seconds(step)
    known = None if device == "cpu" else find_device(torch.cuda.get_device_name())
    peak_flops = None if known is None else known.peak_flops
    utilisation = rate * training_flops(c.model) / peak_flops if peak_flops else None
    return row | {"images_s": rate, "utilisation": utilisation}


@torch.no_grad()
def evaluated(check: Check, name: str, c: Config, count: int) -> Row:
    """The memory of one evaluation of the network without gradients, as in drawing."""
    network, batch, size = check.build(c.model).eval(), check.batch(c.model, count), c.model.low_res_size
    y = batch.y if c.model.num_classes else None
    low_res = {} if size is None else {"low_res": batch.x0[..., :size, :size]}

    def evaluate() -> None:
        with computing_in(check.size.precision, check.device):
            network(batch.x0, batch.t, y, **low_res)

    how = arithmetic(check.size.precision)
    held = sum(tensor.nbytes for tensor in network.parameters())
    counted = held + weight_copies(c.model, how) + count * forward_bytes(c.model, how)
    return memory_row(check, f"{name} draws {count}", counted, check.peak(evaluate))


def memory_row(check: Check, case: str, counted: float, allocated: int) -> Row:
    fails = check.device != "cpu" and allocated > ROOM * counted
    return {"case": case, "counted_gib": counted / GIB, "allocated_gib": allocated / GIB, "fails": fails}


def sampling(check: Check) -> Iterator[Row]:
    """DDIM and DDPM in as many steps; a longer run takes as much longer. Noise is drawn as a stage of drawing does."""
    c, count = presets.load(check.main_preset), check.size.drawn
    process = Diffusion.from_config(c.diffusion, (check.size.drawing_steps,))
    network, classifier = check.build(c.model).eval(), check.build(c.classifier.model).eval()
    shape, noise = (c.model.in_channels, c.model.image_size, c.model.image_size), IndexedNoise(0, check.device)
    y = torch.arange(count, device=check.device) % (c.model.num_classes or 1)

    def model(x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        output: Tensor = network(x, t, y if c.model.num_classes else None)
        return output

    for sampler, loop in (("DDIM", process.ddim_loop), ("DDPM", process.sample_loop)):
        for guidance in (None, classifier_gradient(classifier, 1.0)):

            def draw(loop: Callable[..., Tensor] = loop, guidance: Any = guidance) -> None:
                with computing_in(check.size.precision, check.device):
                    loop(
                        model,
                        noise=noise.initial(range(count), shape),
                        step_noise=lambda k: noise.step(range(count), k, shape),
                        model_kwargs={"y": y},
                        cond_fn=guidance,
                    )

            taken, steps = check.seconds(draw), check.size.drawing_steps
            case = f"{check.main_preset} {sampler}, {steps} steps{', guided' if guidance else ''}"
            yield {"case": case, "images_s": count / taken, "images_s_in_250_steps": count / taken * steps / 250}


def adam(check: Check) -> Iterator[Row]:
    """Fused Adam on pictures that are easily learnt. The loss scale's history: the steps at which it changed."""
    c, size = presets.load(check.main_preset), check.size
    train = c.train.model_copy(update={"batch_size": size.adam_batch, "precision": size.precision, "zero_stage": 0})
    process, generator = Diffusion.from_config(c.diffusion), torch.Generator(check.device).manual_seed(0)
    objective, network = objective_of(process, c.model), check.build(c.model).train()
    engine = TorchEngine(network, train, check.device, size.precision)
    shape = (size.adam_batch, c.model.in_channels, c.model.image_size, c.model.image_size)
    weights, losses, scales, skipped = torch.ones(shape[0], device=check.device), [], {}, 0
    started = time.perf_counter()
    for step in range(size.adam_steps):
        colours = torch.rand((*shape[:2], 1, 1), generator=generator, device=check.device) * 2 - 1
        noise = torch.randn(shape, generator=generator, device=check.device)
        t = torch.randint(process.num_timesteps, shape[:1], generator=generator, device=check.device)
        batch = Batch(colours.expand(shape), torch.zeros_like(t), t, weights, noise)

        def loss(net: nn.Module, batch: Batch = batch) -> Tensor:
            value = objective(net, batch)["loss"].mean()
            losses.append(value.detach())
            return value

        report = engine.step([loss], 1e-4)
        skipped += not report.taken
        if report.loss_scale != (list(scales.values())[-1] if scales else None):
            scales[step] = report.loss_scale
    taken, tenth = time.perf_counter() - started, max(1, size.adam_steps // 10)
    first, last = (float(torch.stack(part).mean()) for part in (losses[:tenth], losses[-tenth:]))
    yield {
        "case": f"{check.main_preset}, {size.adam_steps} steps of {size.adam_batch}, {size.precision}",
        "first_loss": first,
        "last_loss": last,
        "steps_skipped": skipped,
        "loss_scale": scales,
        "images_s": size.adam_steps * size.adam_batch / taken,
        "fails": not (math.isfinite(last) and last < 1.1 * first) or skipped > size.adam_steps / 5,
    }


def inception(check: Check) -> Iterator[Row]:
    weights, count = inception_by_rule.weights(), check.size.inception_batch
    images = torch.randint(256, (count, 3, 256, 256), dtype=torch.uint8, device=check.device)
    for precision in get_args(Precision):
        if precision == "bf16" and check.device != "cpu" and torch.cuda.get_device_capability() < (8, 0):
            continue
        network = InceptionV3(weights, precision=precision).to(check.device)
        rate = count / check.seconds(lambda network=network: network(images))
        yield {"case": f"Inception, {count} images at 256, {precision}", "images_s": rate}


def noise(check: Check) -> Iterator[Row]:
    """The noise of one step by image, which the CPU draws, beside what the device draws by itself."""
    for side in (64, 256):
        count = check.size.drawn
        values, indexed = count * 3 * side**2, IndexedNoise(0, check.device)
        ways = {
            "by image": lambda side=side, count=count, indexed=indexed: indexed.step(range(count), 0, (3, side, side)),
            "torch.randn": lambda side=side, count=count: torch.randn(count, 3, side, side, device=check.device),
        }
        for name, draw in ways.items():
            taken = check.seconds(draw)
            yield {
                "case": f"noise of {count} at {side}, {name}",
                "ns_per_value": taken / values * 1e9,
                "ms": taken * 1e3,
            }


PARTS: dict[str, Callable[[Check], Iterator[Row]]] = {
    "parity": parity,
    "training": training,
    "sampling": sampling,
    "adam": adam,
    "inception": inception,
    "noise": noise,
}


def shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return "–" if value is None else str(value)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", nargs="+", help="default: those of table 7; on a CPU tiny_digits")
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--minutes", type=float, default=7.0, help="after which no part begins")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    args = parser.parse_args()
    if args.device == "cuda" and not torch.cuda.is_available():
        print("needs a GPU that PyTorch can use; --device cpu is the same in miniature", file=sys.stderr)
        return 2
    size = FULL if args.device == "cuda" else MINIATURE
    check = Check(args.device, Size(**(vars(size) | ({"presets": tuple(args.presets)} if args.presets else {}))))
    name = "CPU" if args.device == "cpu" else torch.cuda.get_device_name()
    print(f"{name}, torch {torch.__version__}, {size.precision}", flush=True)
    started, rows = time.perf_counter(), []
    for part in args.parts:
        if time.perf_counter() - started > 60 * args.minutes:
            rows.append({"part": part, "case": f"{part} not run: {args.minutes:g} minutes are over", "fails": False})
            print(f"{part:<10}{rows[-1]['case']}", flush=True)
            continue
        # Full float32 in parity, so that only the precision that is asked for rounds.
        torch.backends.cudnn.allow_tf32 = part != "parity"
        for row in PARTS[part](check):
            rows.append({"part": part, "fails": False} | row)
            figures = "  ".join(f"{key} {shown(row[key])}" for key in row if key not in ("case", "fails"))
            print(f"{part:<10}{row['case']:<44}{figures}{'  FAILS' if row.get('fails') else ''}", flush=True)
        if args.device != "cpu":
            torch.cuda.empty_cache()
    taken = time.perf_counter() - started
    print(f"{taken:.0f} s", flush=True)
    if args.json:
        report = {
            "device": name,
            "torch": torch.__version__,
            "precision": size.precision,
            "seconds": taken,
            "rows": rows,
        }
        args.json.write_text(json.dumps(report, indent=1) + "\n")
    return int(any(row["fails"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
