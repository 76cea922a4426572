"""The ledger: what each stage took, on what, how well the device was used, and what that is in device-days.

Everything comes from the costs that results were committed with. A stage is charged once, however many trials read it,
and a rung only for what it added to the one below. What is not known stays unknown: it is counted apart, never as 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from assay.costs.devices import DeviceDays, find_device
from assay.store import StoredResult
from assay.text import days


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
    """Trained on, made or read in these seconds; None where the stage does not say and has no budget."""
    flops: float | None
    """Theoretical operations done in these seconds; None where the stage does not say."""
    device_days: float | None
    """In the unit of the ledger; None on a device that is not declared."""

    @property
    def device_seconds(self) -> float:
        return self.seconds * self.count

    @property
    def work(self) -> float:
        """What these seconds grow with: operations where they are known, else the budget."""
        return self.flops or self.done

    @property
    def items_per_second(self) -> float | None:
        """The rate of all devices together."""
        return self.items / self.seconds if self.items and self.seconds > 0 else None

    @property
    def utilisation(self) -> float | None:
        """The share of the devices' half-precision peak that the theoretical operations make up."""
        device = find_device(self.device)
        if device is None or device.peak_flops is None or not self.flops or self.device_seconds <= 0:
            return None
        return self.flops / (self.device_seconds * device.peak_flops)


@dataclass(frozen=True)
class Total:
    """A sum of entries. `device_days` is of those that are known; the others are in `unknown`."""

    stages: int = 0
    device_seconds: float = 0.0
    device_days: float = 0.0
    unknown: int = 0
    """How many entries have no device-days."""
    unknown_device_seconds: float = 0.0

    def __add__(self, other: Total) -> Total:
        return Total(
            self.stages + other.stages,
            self.device_seconds + other.device_seconds,
            self.device_days + other.device_days,
            self.unknown + other.unknown,
            self.unknown_device_seconds + other.unknown_device_seconds,
        )

    def one_like(self, share: float) -> Total:
        """One stage that takes this share of the sum; its device-days are unknown where those of some part are."""
        seconds = self.device_seconds * share
        if self.unknown or not self.stages:
            return Total(1, seconds, unknown=1, unknown_device_seconds=seconds)
        return Total(1, seconds, self.device_days * share)


def entries(results: Iterable[StoredResult], unit: DeviceDays) -> list[Entry]:
    """Each result once, in the order given, with its device-days in that unit."""
    return [_entry(result, unit) for result in {result.key: result for result in results}.values()]


def total(listed: Iterable[Entry]) -> Total:
    """The sum, with what is unknown kept apart."""
    return sum((_one(entry) for entry in listed), Total())


def _one(entry: Entry) -> Total:
    if entry.device_days is None:
        return Total(1, entry.device_seconds, 0.0, 1, entry.device_seconds)
    return Total(1, entry.device_seconds, entry.device_days)


def _entry(result: StoredResult, unit: DeviceDays) -> Entry:
    """What its cost was for: a rung's is only for what it added to the one below."""
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
    """Device-days of a sum: 5.3; "?" where no part is known; 5.3+? where some part is not."""
    if cost.unknown == cost.stages:
        return "?" if cost.stages else "0"
    return days(cost.device_days) + ("+?" if cost.unknown else "")
