"""The cost of models: operations, parameters, theoretical throughput, V100-days. Computed without torch."""

from adm.compute.network import NetworkCost, network_cost
from adm.compute.sampling import num_evaluations, sampling_flops
from adm.compute.v100 import (
    TABLE_7,
    theoretical_throughput,
    training_flops,
    training_v100_days,
)

__all__ = [
    "TABLE_7",
    "NetworkCost",
    "network_cost",
    "num_evaluations",
    "sampling_flops",
    "theoretical_throughput",
    "training_flops",
    "training_v100_days",
]
