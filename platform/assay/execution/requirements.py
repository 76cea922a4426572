"""What each stage needs from the cluster, by the sweep's `resources`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from assay.sweep import Resources
from assay.workload import Stage


@dataclass(frozen=True)
class Need:
    """A stage holds from `least` to `most` units: workers of a training, or actors of a fan-out."""

    unit: Mapping[str, float]
    """Resource → amount per unit: {"CPU": 2.0, "GPU": 1.0}."""
    least: int = 1
    most: int = 1


def need(stage: Stage, resources: Resources) -> Need:
    """CPUs and GPUs that a stage holds while it runs."""
    if stage.kind == "train":
        group = resources.train
        unit = _positive(group.cpus_per_worker, group.gpus_per_worker)
        return Need(unit, group.least_workers, group.most_workers)
    if stage.kind == "map":
        fan = resources.sample
        # No more than there are shards: another actor would be idle.
        most = min(fan.actors[1], math.ceil(stage.amount / stage.shard_size))
        return Need(_positive(fan.cpus_per_actor, fan.gpus_per_actor), min(fan.actors[0], most), most)
    return Need(_positive(resources.reduce.cpus, resources.reduce.gpus))


def threads(stage: Stage, resources: Resources) -> int:
    """CPU threads of one worker: the same with any executor, so that results are rounded alike."""
    cpus = {
        "train": resources.train.cpus_per_worker,
        "map": resources.sample.cpus_per_actor,
        "reduce": resources.reduce.cpus,
    }
    return max(1, int(cpus[stage.kind]))


def _positive(cpus: float, gpus: float) -> dict[str, float]:
    return {name: float(amount) for name, amount in (("CPU", cpus), ("GPU", gpus)) if amount > 0}
