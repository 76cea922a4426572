"""Estimate a stage's cost from comparable earlier stages, or else from its FLOPs.

Stages are comparable if they have the same name and a similar number of operations per item: a toy network that leaves
a GPU idle does not predict a large one, nor does a CPU predict a GPU.
"""

from __future__ import annotations

from dataclasses import dataclass

from assay.costs.cost_estimate import Basis, CostEstimate
from assay.costs.devices import SECONDS_PER_DAY, DeviceDays, find_device
from assay.costs.ledger import Entry, entries, mean_rate
from assay.costs.rates import CPU, NO_RATES, Rates
from assay.store import Store
from assay.sweep import Resources
from assay.workload import Stage

SAME_ORDER = 10
"""Largest ratio of operations per item between comparable stages."""


class CostEstimator:
    """Estimates from all results in a store."""

    def __init__(self, store: Store, resources: Resources, unit: DeviceDays, prices: Rates = NO_RATES) -> None:
        self._unit = unit
        self._prices = prices
        self._known: dict[str, list[Entry]] = {}
        """Stage name → entries, latest last."""
        results = sorted(store.results(), key=lambda result: result.created)
        self.rows_read = {result.rows_read.key for result in results if result.rows_read is not None}
        """Keys of the stages whose rows some result has read."""
        for entry in entries(results, unit):
            if entry.done > 0:
                self._known.setdefault(entry.stage, []).append(entry)
        self._rates: dict[tuple[str, str, float], _Rates] = {}
        self._resources = resources

    def of(self, stage: Stage) -> CostEstimate:
        """The cost of the whole stage.

        Device-days come from earlier results on declared devices, else from its FLOPs. Seconds come from earlier
        results on the latest device of the kind that it asks for, as do device-days if the unit has no reference.
        Dollars are by the price of that device, or of the GPU that its resources name.
        """
        kind = (stage.name, stage.group, (stage.flops or 0.0) / stage.amount)
        if kind not in self._rates:
            self._rates[kind] = self._rates_of(stage)
        work = stage.flops or stage.amount
        rates = self._rates[kind]
        days = _times(rates.device_days, work)
        basis: Basis = "earlier results"
        if days is None and stage.flops:
            days, basis = self._unit.of_flops(stage.flops), "FLOPs"
        seconds, named = _times(rates.seconds, work), self._resources.group_of(stage).gpu
        device = named or rates.device or expected_device(stage, self._resources, self._unit)
        usd = self._usd(device, days, rates, work)
        return CostEstimate.of_stage(days, seconds, None if days is None else basis, usd, device)

    def _usd(self, device: str, days: float | None, rates: _Rates, work: float) -> float | None:
        if find_device(device) == find_device(rates.device) and rates.device_seconds is not None:
            return self._prices.usd(device, 1, rates.device_seconds * work)
        known = find_device(device)
        if days is None or known is None or not self._unit.reference:
            return None
        return self._prices.usd(device, 1, days * SECONDS_PER_DAY / self._unit.worth(known))

    def _rates_of(self, stage: Stage) -> _Rates:
        """Costs per operation where FLOPs are known, else per unit of the budget."""
        alike = [entry for entry in self._known.get(stage.name, []) if _is_comparable(entry, stage)]
        _, gpus = self._resources.group_of(stage).of_each
        here = [entry for entry in alike if entry.device.startswith("cpu") != (gpus > 0)]
        here = [entry for entry in here if entry.device == here[-1].device]
        return _Rates(
            mean_rate(alike if self._unit.reference else here, lambda e: e.device_days, lambda e: e.work),
            mean_rate(here, lambda e: e.seconds, lambda e: e.work),
            mean_rate(here, lambda e: e.device_seconds, lambda e: e.work),
            here[-1].device if here else "",
        )


@dataclass(frozen=True)
class _Rates:
    device_days: float | None
    seconds: float | None
    device_seconds: float | None
    device: str
    """The one of the seconds; empty if there are none."""


def expected_device(stage: Stage, resources: Resources, unit: DeviceDays) -> str:
    """The device that a stage is to run on, as far as its sweep says: the GPU that its resources name, or else the one
    in whose days costs are; `cpu` for a stage without GPUs; empty if nothing says which."""
    group = resources.group_of(stage)
    _, gpus = group.of_each
    return (group.gpu or unit.reference) if gpus else CPU


def _times(rate: float | None, work: float) -> float | None:
    return None if rate is None else rate * work


def _is_comparable(entry: Entry, stage: Stage) -> bool:
    if not entry.flops or not stage.flops:
        return not entry.flops and not stage.flops
    return 1 / SAME_ORDER <= (entry.flops / entry.done) / (stage.flops / stage.amount) <= SAME_ORDER
