"""The ledger: each stage's device, time, utilisation and device-days.

It is computed from the costs that results were committed with. A stage is charged once, however many trials read it,
and a rung only for what it added to the one below. Unknown costs are counted apart, never as 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from assay.costs.devices import DeviceDays, find_device
from assay.costs.rates import NO_RATES, Rates
from assay.store import StoredResult
from assay.text import days, usd


@dataclass(frozen=True)
class Entry:
    """One stage's line in the ledger."""

    stage: str
    key: str
    device: str
    count: int
    seconds: float
    """Wall-clock, of `count` devices at once."""
    done: int
    """The part of the stage's budget that these seconds were spent on."""
    items: int | None
    """Items processed in these seconds; None if the stage states none and has no budget."""
    flops: float | None
    """Theoretical operations in these seconds; None if the stage states none."""
    device_days: float | None
    """In the ledger's unit; None if the device is not declared."""

    @property
    def device_seconds(self) -> float:
        return self.seconds * self.count

    @property
    def work(self) -> float:
        """What the cost is proportional to: operations if they are known, else the budget."""
        return self.flops or self.done

    @property
    def items_per_second(self) -> float | None:
        """The rate of all devices together."""
        return self.items / self.seconds if self.items and self.seconds > 0 else None

    @property
    def utilisation(self) -> float | None:
        """The theoretical operations as a share of the devices' half-precision peak."""
        device = find_device(self.device)
        if device is None or device.peak_flops is None or not self.flops or self.device_seconds <= 0:
            return None
        return self.flops / (self.device_seconds * device.peak_flops)


@dataclass(frozen=True)
class Total:
    """A sum of costs. `device_days` and `usd` are the sums of the known ones; `unknown` and `unpriced` count the
    others."""

    stages: int = 0
    device_seconds: float = 0.0
    device_days: float = 0.0
    unknown: int = 0
    """The number of stages whose device-days are unknown."""
    unknown_device_seconds: float = 0.0
    usd: float = 0.0
    unpriced: int = 0
    """The number of stages whose dollars are unknown."""

    @classmethod
    def of_stage(cls, device_seconds: float, device_days: float | None, usd: float | None = None) -> Total:
        is_unknown = device_days is None
        return cls(
            1,
            device_seconds,
            device_days or 0.0,
            unknown=int(is_unknown),
            unknown_device_seconds=device_seconds if is_unknown else 0.0,
            usd=usd or 0.0,
            unpriced=int(usd is None),
        )

    def __add__(self, other: Total) -> Total:
        return Total(
            self.stages + other.stages,
            self.device_seconds + other.device_seconds,
            self.device_days + other.device_days,
            self.unknown + other.unknown,
            self.unknown_device_seconds + other.unknown_device_seconds,
            self.usd + other.usd,
            self.unpriced + other.unpriced,
        )


def entries(results: Iterable[StoredResult], unit: DeviceDays) -> list[Entry]:
    """The ledger's lines for these results, each once, in the order given."""
    return [_entry(result, unit) for result in {result.key: result for result in results}.values()]


def total(listed: Iterable[Entry], rates: Rates = NO_RATES) -> Total:
    each = (Total.of_stage(entry.device_seconds, entry.device_days, dollars(entry, rates)) for entry in listed)
    return sum(each, Total())


def dollars(entry: Entry, rates: Rates) -> float | None:
    """What a stage cost at today's rates; None if unknown."""
    return rates.usd(entry.device, entry.count, entry.seconds)


def mean_rate(
    listed: Iterable[Entry], cost: Callable[[Entry], float | None], amount: Callable[[Entry], float]
) -> float | None:
    """The mean cost per unit of an amount, over the entries whose cost is known; None if they have no amount."""
    known = [(spent, amount(entry)) for entry in listed if (spent := cost(entry)) is not None]
    whole = sum(done for _, done in known)
    return sum(spent for spent, _ in known) / whole if whole else None


def _entry(result: StoredResult, unit: DeviceDays) -> Entry:
    cost, flops, items = result.cost, result.flops, result.items
    if items is None and result.budget.path:
        items = result.budget.amount
    return Entry(
        stage=result.stage,
        key=result.key,
        device=cost.device,
        count=cost.count,
        seconds=cost.seconds,
        done=round(result.budget.amount * result.share_charged),
        items=None if items is None else round(items * result.share_charged),
        flops=None if flops is None else flops * result.share_charged,
        device_days=unit.of(cost.device, cost.count, cost.seconds),
    )


def total_days(cost: Total) -> str:
    """Device-days of a sum: 5.3; "?" if all are unknown; 5.3+? if some are."""
    if cost.unknown == cost.stages:
        return "?" if cost.stages else "0"
    return days(cost.device_days) + ("+?" if cost.unknown else "")


def total_usd(cost: Total) -> str:
    """Dollars of a sum: $12.40; "?" if all are unknown; $12.40+? if some are."""
    if cost.unpriced == cost.stages:
        return "?" if cost.stages else "$0"
    return usd(cost.usd) + ("+?" if cost.unpriced else "")
