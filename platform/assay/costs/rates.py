"""What devices cost by the hour, by `prices` in the home's settings. An unknown price is None, not 0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from assay.costs.devices import find_device, memory_sizes
from assay.sweep.fields import Name, Section, Text

CPU = "cpu"
SECONDS_PER_HOUR = 3600
Market = Literal["on_demand", "spot"]
Dollars = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]


def _priced_device(name: str) -> str:
    if name != CPU and find_device(name) is None:
        raise ValueError(
            f"got {name!r}, which is not in the table of devices; allowed: {CPU}, or a device as its vendor calls it, "
            'such as "A100", or "A100-80GB" for those of that memory alone'
        )
    return name


def _day(text: str) -> str:
    try:
        datetime.strptime(text, "%Y-%m-%d")
    except ValueError:
        raise ValueError(f"got {text!r}, allowed: the day when it was looked up, such as 2026-11-30") from None
    return text


class Price(Section):
    """What one device costs."""

    device: Annotated[Text, AfterValidator(_priced_device)]
    """A device of the table in `assay.costs.devices`, or cpu: a process without a GPU."""
    usd_per_hour: Dollars | None = None
    """On demand, or of a machine that one owns."""
    spot_usd_per_hour: Dollars | None = None
    """For machines that may be taken away."""
    date: Annotated[Text, AfterValidator(_day)]
    source: Name

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if self.usd_per_hour is None and self.spot_usd_per_hour is None:
            raise ValueError("got neither usd_per_hour nor spot_usd_per_hour, allowed: one or both")
        return self

    def is_of(self, device: str) -> bool:
        """Whether it is the price of a device of this name."""
        if self.device == CPU:
            return device.startswith(CPU)
        ours, theirs = find_device(self.device), find_device(device)
        sizes = {*memory_sizes(self.device)}
        return ours == theirs and (not sizes or not sizes.isdisjoint(memory_sizes(device)))


@dataclass(frozen=True)
class Rates:
    """Prices, of which the first that fits a device counts."""

    prices: Sequence[Price] = ()
    market: Market = "on_demand"

    def __bool__(self) -> bool:
        return bool(self.prices)

    def price(self, device: str) -> Price | None:
        return next((price for price in self.prices if price.is_of(device)), None)

    def usd_per_hour(self, device: str) -> float | None:
        """The price of one device by its reported name; None if unknown, and for several kinds of unequal prices.

        >>> a100 = Price(device="A100", usd_per_hour=2.75, date="2025-11-30", source="a list")
        >>> Rates([a100]).usd_per_hour("NVIDIA A100-SXM4-40GB"), Rates([a100]).usd_per_hour("Tesla T4")
        (2.75, None)
        """
        each = {self._of(kind) for kind in device.split(", ")}
        return each.pop() if len(each) == 1 else None

    def usd(self, device: str, count: float, seconds: float) -> float | None:
        """Dollars of `count` devices for these seconds."""
        price = self.usd_per_hour(device)
        return None if price is None else price * count * seconds / SECONDS_PER_HOUR

    def _of(self, device: str) -> float | None:
        price = self.price(device)
        if price is None:
            return None
        return price.usd_per_hour if self.market == "on_demand" else price.spot_usd_per_hour


NO_RATES = Rates()
