"""Cost in the paper's unit, the V100-day (appendix B). Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from adm.compute.network import network_cost
from adm.config import ModelConfig
from assay.costs.devices import SECONDS_PER_DAY, DeviceDays, find_device

V100_DAYS = DeviceDays("V100")
BACKWARD_FORWARDS = 2
"""Forward passes that a backward pass costs."""


def training_flops(config: ModelConfig) -> int:
    """Floating-point operations of one training image: forward and backward, without activation checkpointing.

    Average pooling is included: without it, the first figure of table 7 would be 182.352, which does not round to
    182.3.
    """
    cost = network_cost(config)
    return (1 + BACKWARD_FORWARDS) * (cost.flops + cost.pooling)


def theoretical_throughput(config: ModelConfig) -> float:
    """Images per V100-second of training at 100% utilization (table 7): 120 TFLOP/s (appendix B.1)."""
    v100 = find_device(V100_DAYS.reference)
    assert v100 is not None
    assert v100.peak_flops is not None
    return v100.peak_flops / training_flops(config)


def training_v100_days(iterations: int, batch_size: int, images_per_v100_s: float) -> float:
    """V100-days = iterations · batch size / (images per V100-second · 86,400). How table 10 follows from table 7."""
    return iterations * batch_size / (images_per_v100_s * SECONDS_PER_DAY)


@dataclass(frozen=True)
class Throughput:
    """A network's rows in table 7, in images per V100-second. `theoretical` is at 100% utilization."""

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
