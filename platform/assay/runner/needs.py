"""What each stage takes from the cluster, from the sweep's `resources`."""

from __future__ import annotations

from collections.abc import Mapping

from assay.spec import Resources
from assay.workload import Stage


def need(stage: Stage, resources: Resources) -> dict[str, float]:
    """CPUs and GPUs that a stage holds while it runs."""
    if stage.kind == "train":
        group = resources.train
        cpus, gpus = group.workers * group.cpus_per_worker, group.workers * group.gpus_per_worker
    elif stage.kind == "map":
        lanes = resources.sample.actors[1]
        cpus, gpus = lanes * resources.sample.cpus_per_actor, lanes * resources.sample.gpus_per_actor
    else:
        cpus, gpus = resources.reduce.cpus, resources.reduce.gpus
    return _positive({"CPU": float(cpus), "GPU": float(gpus)})


def threads(stage: Stage, resources: Resources) -> int:
    """CPU threads of one worker: what it was given, by any executor, so that all of them round alike."""
    given = {
        "train": resources.train.cpus_per_worker,
        "map": resources.sample.cpus_per_actor,
        "reduce": resources.reduce.cpus,
    }
    return max(1, int(given[stage.kind]))


def _positive(amounts: Mapping[str, float]) -> dict[str, float]:
    return {name: amount for name, amount in amounts.items() if amount > 0}
