"""What each stage needs from the cluster, by the sweep's `resources`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from assay.workload import Stage

if TYPE_CHECKING:
    from assay.sweep import Resources


@dataclass(frozen=True)
class Need:
    """A stage holds from `least` to `most` units: workers of a training, or actors of a fan-out."""

    unit: Mapping[str, float]
    """Resource → amount per unit: {"CPU": 2.0, "GPU": 1.0}."""
    least: int = 1
    most: int = 1

    @property
    def threads(self) -> int:
        """CPU threads of one unit: the same with any executor, so that results are rounded alike."""
        return max(1, int(self.unit.get("CPU", 0)))


def need(stage: Stage, resources: Resources) -> Need:
    """CPUs and GPUs that a stage holds while it runs. Raises UserError as `Resources.group_of` does."""
    group = resources.group_of(stage)
    (least, most), of_each = group.units, group.of_each
    if stage.kind == "map":  # no more than there are shards: another actor would be idle
        most = min(most, math.ceil(stage.amount / stage.shard_size))
    unit = {name: float(amount) for name, amount in zip(("CPU", "GPU"), of_each, strict=True) if amount > 0}
    return Need(unit, min(least, most), most)
