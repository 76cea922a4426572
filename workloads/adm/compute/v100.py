"""Cost in the paper's unit, the V100-day (appendix B). No torch here."""

from __future__ import annotations

from dataclasses import dataclass

from adm.compute.network import network_cost
from adm.config import ModelConfig

V100_FLOPS_PER_S = 120e12
"""What the paper takes for 100% of a V100 (appendix B.1)."""
BACKWARD_FORWARDS = 2
"""A backward pass in forward passes."""
SECONDS_PER_DAY = 86_400


@dataclass(frozen=True)
class Conversion:
    """What one device is worth. `pattern` is looked for in the device's name, whatever the case."""

    pattern: str
    v100s: float
    source: str


CONVERSIONS = (
    Conversion("v100", 1.0, "the unit"),
    Conversion("tpu v3", 0.5, "appendix B.3: 2 TPU-v3-days = 1 V100-day"),
    Conversion("tpu-v3", 0.5, "appendix B.3: 2 TPU-v3-days = 1 V100-day"),
    Conversion("a100", 2.5, "dense fp16 peaks of the vendor's data sheets: 312 against 125 TFLOP/s"),
    Conversion("h100", 7.9, "dense fp16 peaks of the vendor's data sheets: 989 (SXM) against 125 TFLOP/s"),
    Conversion("h200", 7.9, "dense fp16 peaks of the vendor's data sheets: 989 (SXM) against 125 TFLOP/s"),
    Conversion("t4", 0.52, "dense fp16 peaks of the vendor's data sheets: 65 against 125 TFLOP/s"),
)


def v100s(device: str) -> float | None:
    """How many V100s a device is worth, by the name it gives itself; None when nobody has declared it.

    >>> v100s("Tesla V100-SXM2-16GB")
    1.0
    """
    words = device.lower()
    return next((c.v100s for c in CONVERSIONS if c.pattern in words), None)


def training_flops(config: ModelConfig) -> int:
    """Operations of training on one image, once: forward and backward, nothing computed twice.

    Average pooling is in it: without, the first figure of table 7 would be 182.352, which does not print as 182.3.
    """
    cost = network_cost(config)
    return (1 + BACKWARD_FORWARDS) * (cost.flops + cost.pooling)


def theoretical_throughput(config: ModelConfig, flops_per_s: float = V100_FLOPS_PER_S) -> float:
    """Images a second of training at 100% utilization (table 7)."""
    return flops_per_s / training_flops(config)


def training_v100_days(iterations: int, batch_size: int, images_per_v100_s: float) -> float:
    """V100-days of `iterations` steps of `batch_size` images (how table 10 follows from table 7)."""
    return iterations * batch_size / (images_per_v100_s * SECONDS_PER_DAY)


def flops_v100_days(flops: float, utilization: float = 1.0) -> float:
    """V100-days of `flops` operations on V100s of which `utilization` (0 to 1] is used."""
    return flops / (V100_FLOPS_PER_S * utilization * SECONDS_PER_DAY)


@dataclass(frozen=True)
class Throughput:
    """A row group of table 7: images a V100-second. `theoretical` is at 100% utilization."""

    theoretical: float
    naive: float
    optimized: float


TABLE_7 = {
    "imagenet64": Throughput(182.3, naive=37.0, optimized=74.1),
    "imagenet128": Throughput(65.2, naive=11.5, optimized=24.8),
    "imagenet256": Throughput(17.9, naive=4.4, optimized=6.4),
    "upsample_64_256": Throughput(31.7, naive=6.3, optimized=9.5),
    "upsample_128_512": Throughput(8.0, naive=1.9, optimized=2.3),
}


def paper_v100_days(preset: str, iterations: int, batch_size: int) -> float:
    """V100-days at the paper's own optimized throughput. `preset` is a key of TABLE_7."""
    return training_v100_days(iterations, batch_size, TABLE_7[preset].optimized)
