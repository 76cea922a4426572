"""The ledger: what each stage took, on what, how well the device was used, and what that is in V100-days.

Everything comes from the costs that results were committed with. A stage is charged once, however many trials read it,
and a rung only for what it added to the one below. What is not known stays unknown: it is counted apart, never as 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from assay.costs.devices import find_device
from assay.store import Cost, StoredResult
from assay.text import days

SECONDS_PER_DAY = 86_400


def v100_days(cost: Cost) -> float | None:
    """Device-days by the declared table; None on a device that it does not know."""
    device = find_device(cost.device)
    return None if device is None else cost.count * cost.seconds / SECONDS_PER_DAY * device.v100s


@dataclass(frozen=True)
class Entry:
    """One stage's line in the ledger."""

    stage: str
    key: str
    device: str
    count: int
    seconds: float
    """Wall-clock, of `count` devices at once."""
    items: int
    """The part of the stage's budget that these seconds were spent on."""
    images: int | None
    """Trained on, drawn or read in these seconds; None where the stage does not say."""
    flops: float | None
    """Theoretical operations done in these seconds; None where the stage does not say."""
    v100_days: float | None
    """None on a device that is not declared."""

    @property
    def device_seconds(self) -> float:
        return self.seconds * self.count

    @property
    def work(self) -> float:
        """What these seconds grow with: operations where they are known, else items of the budget."""
        return self.flops or self.items

    @property
    def images_per_second(self) -> float | None:
        """The rate of all devices together."""
        return self.images / self.seconds if self.images and self.seconds > 0 else None

    @property
    def utilisation(self) -> float | None:
        """The share of the devices' half-precision peak that the theoretical operations make up."""
        device = find_device(self.device)
        if device is None or device.peak_flops is None or not self.flops or self.device_seconds <= 0:
            return None
        return self.flops / (self.device_seconds * device.peak_flops)


@dataclass(frozen=True)
class Total:
    """A sum of entries. `v100_days` is of those that are known; the others are in `unknown`."""

    stages: int = 0
    device_seconds: float = 0.0
    v100_days: float = 0.0
    unknown: int = 0
    """How many entries have no V100-days."""
    unknown_device_seconds: float = 0.0

    def __add__(self, other: Total) -> Total:
        return Total(
            self.stages + other.stages,
            self.device_seconds + other.device_seconds,
            self.v100_days + other.v100_days,
            self.unknown + other.unknown,
            self.unknown_device_seconds + other.unknown_device_seconds,
        )

    def one_like(self, share: float) -> Total:
        """One stage that takes this share of the sum; its V100-days are unknown where those of some part are."""
        seconds = self.device_seconds * share
        if self.unknown or not self.stages:
            return Total(1, seconds, unknown=1, unknown_device_seconds=seconds)
        return Total(1, seconds, self.v100_days * share)


def entries(results: Iterable[StoredResult]) -> list[Entry]:
    """Each result once, in the order given."""
    return [_entry(result) for result in {result.key: result for result in results}.values()]


def total(listed: Iterable[Entry]) -> Total:
    """The sum, with what is unknown kept apart."""
    return sum((_one(entry) for entry in listed), Total())


def _one(entry: Entry) -> Total:
    if entry.v100_days is None:
        return Total(1, entry.device_seconds, 0.0, 1, entry.device_seconds)
    return Total(1, entry.device_seconds, entry.v100_days)


def _entry(result: StoredResult) -> Entry:
    """What its cost was for: a rung's is only for what it added to the one below."""
    cost, flops, images = result.cost, result.flops, _images(result)
    return Entry(
        stage=result.stage,
        key=result.key,
        device=cost.device,
        count=cost.count,
        seconds=cost.seconds,
        items=round(result.budget.amount * result.share_charged),
        images=None if images is None else round(images * result.share_charged),
        flops=None if flops is None else flops * result.share_charged,
        v100_days=v100_days(cost),
    )


def _images(result: StoredResult) -> int | None:
    """As the stage declared them; else its budget, where that counts images."""
    if result.images is not None:
        return result.images
    return result.budget.amount if result.budget.unit in ("images", "samples") else None


def total_days(cost: Total) -> str:
    """V100-days of a sum: 5.3; "?" where no part is known; 5.3+? where some part is not."""
    if cost.unknown == cost.stages:
        return "?" if cost.stages else "0"
    return days(cost.v100_days) + ("+?" if cost.unknown else "")
