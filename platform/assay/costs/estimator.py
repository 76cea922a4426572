"""Estimate a stage's cost from comparable earlier stages, or else from its FLOPs.

Stages are comparable if they have the same name and a similar number of operations per item: a toy network that leaves
a GPU idle does not predict a large one, nor does a CPU predict a GPU.
"""

from __future__ import annotations

from assay.costs.cost_estimate import CostEstimate
from assay.costs.devices import DeviceDays
from assay.costs.ledger import Entry, entries, mean_rate
from assay.store import Store
from assay.sweep import Resources
from assay.workload import Stage

SAME_ORDER = 10
"""Largest ratio of operations per item between comparable stages."""


class CostEstimator:
    """Estimates from all results in a store."""

    def __init__(self, store: Store, resources: Resources, unit: DeviceDays) -> None:
        self._unit = unit
        self._known: dict[str, list[Entry]] = {}
        """Stage name → entries, latest last."""
        results = sorted(store.results(), key=lambda result: result.created)
        self.rows_read = {result.rows_read.key for result in results if result.rows_read is not None}
        """Keys of the stages whose rows some result has read."""
        for entry in entries(results, unit):
            if entry.done > 0:
                self._known.setdefault(entry.stage, []).append(entry)
        self._rates: dict[tuple[str, str, float], tuple[float | None, float | None]] = {}
        self._resources = resources

    def of(self, stage: Stage) -> CostEstimate:
        """The cost of the whole stage.

        Device-days come from earlier results on declared devices, else from its FLOPs. Seconds come from earlier
        results on the latest device of the kind that it asks for, as do device-days if the unit has no reference.
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
        here = [entry for entry in here if entry.device == here[-1].device]
        return (
            mean_rate(alike if self._unit.reference else here, lambda e: e.device_days, lambda e: e.work),
            mean_rate(here, lambda e: e.seconds, lambda e: e.work),
        )


def _is_comparable(entry: Entry, stage: Stage) -> bool:
    if not entry.flops or not stage.flops:
        return not entry.flops and not stage.flops
    return 1 / SAME_ORDER <= (entry.flops / entry.done) / (stage.flops / stage.amount) <= SAME_ORDER
