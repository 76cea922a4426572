"""What a stage would cost: by what earlier stages of its kind took, or else by its FLOPs.

An earlier stage counts where its work is comparable: of the same name, and of a network and batch of the same order. A
toy that leaves a GPU idle says nothing of a large network, and a CPU nothing of a GPU.
"""

from __future__ import annotations

from collections.abc import Sequence

from assay.costs.cost_estimate import CostEstimate
from assay.costs.devices import DeviceDays
from assay.costs.ledger import Entry, entries
from assay.store import Store
from assay.sweep import Resources
from assay.workload import Stage

SAME_ORDER = 10
"""How many times more or fewer operations an item of comparable work may take."""


class CostEstimator:
    """A price list, from every result in a store."""

    def __init__(self, store: Store, resources: Resources, unit: DeviceDays) -> None:
        self._unit = unit
        self._known: dict[str, list[Entry]] = {}
        """By the stage's name, the latest last."""
        results = sorted(store.results(), key=lambda result: result.created)
        self.rows_read = {result.rows_read.key for result in results if result.rows_read is not None}
        """Keys of the stages whose rows were read for some result."""
        for entry in entries(results, unit):
            if entry.done > 0:
                self._known.setdefault(entry.stage, []).append(entry)
        self._rates: dict[tuple[str, str, float], tuple[float | None, float | None]] = {}
        self._resources = resources

    def of(self, stage: Stage) -> CostEstimate:
        """The whole stage, from nothing.

        Device-days by earlier results on declared devices, else by its FLOPs; seconds by earlier results on the kind of
        device that it asks for, the latest that it ran on. So are device-days without a device of reference.
        """
        kind = (stage.name, stage.group, (stage.flops or 0.0) / stage.amount)
        if kind not in self._rates:
            self._rates[kind] = self._rates_of(stage)
        work = stage.flops or stage.amount
        days, seconds = (None if rate is None else rate * work for rate in self._rates[kind])
        if days is not None:
            return CostEstimate.of_stage(days, seconds, "earlier results")
        days = self._unit.of_flops(stage.flops) if stage.flops else None
        return CostEstimate.of_stage(days, seconds, None if days is None else "FLOPs")

    def _rates_of(self, stage: Stage) -> tuple[float | None, float | None]:
        """Device-days and seconds per operation where FLOPs are known, else per unit of the budget."""
        alike = [entry for entry in self._known.get(stage.name, []) if _is_comparable(entry, stage)]
        _, gpus = self._resources.group_of(stage).of_each
        here = [entry for entry in alike if entry.device.startswith("cpu") != (gpus > 0)]
        here = [entry for entry in here if entry.device == here[-1].device]  # as fast as it was last
        declared = [e for e in (alike if self._unit.reference else here) if e.device_days is not None]
        return (
            _rate(declared, sum(entry.device_days or 0.0 for entry in declared)),
            _rate(here, sum(entry.seconds for entry in here)),
        )


def _is_comparable(entry: Entry, stage: Stage) -> bool:
    if not entry.flops or not stage.flops:
        return not entry.flops and not stage.flops
    return 1 / SAME_ORDER <= (entry.flops / entry.done) / (stage.flops / stage.amount) <= SAME_ORDER


def _rate(known: Sequence[Entry], cost: float) -> float | None:
    return cost / sum(entry.work for entry in known) if known else None
