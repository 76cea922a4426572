"""A CostSheet as Rich, JSON and CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from assay.costs.ledger import Total, dollars, total, total_days, total_usd
from assay.costs.rates import CPU, Rates
from assay.costs.savings import Charge, CostSheet
from assay.report.tables.listing import Column, Listing
from assay.report.tables.neutral import csv_text
from assay.text import devices, plural, rate, took, usd

if TYPE_CHECKING:
    from rich.console import RenderableType

SAVINGS = (
    ("sharing", "stages that several trials read, computed once"),
    ("caching", "stages that were stored before"),
    ("early_stopping", "rungs that the scheduler spared, estimated"),
)
"""Fields of Savings, and their descriptions."""

MOST_ROWS = 40
"""On a terminal; more stages are summed up per kind and device."""


def cost_lines(sheet: CostSheet) -> list[tuple[str, str]]:
    """Names and descriptions of the sums: ("charged", "5 stages, 3:20 of device time, …"), and what was saved."""
    unit, has_prices = sheet.hints.days.name, bool(sheet.rates)
    savings = [(name, words, getattr(sheet.savings, name)) for name, words in SAVINGS]
    saved = [
        (f"saved by {name.replace('_', ' ')}", f"{sum_in_words(each, unit, has_prices)} ({words})")
        for name, words, each in savings
        if each.stages
    ]
    charged = f"{sum_in_words(sheet.total, unit, has_prices)} (each stage once)"
    return [("charged", charged), *saved, *prices_in_words(sheet)]


def prices_in_words(sheet: CostSheet) -> list[tuple[str, str]]:
    """The prices that the dollars are by, with their dates and sources; and the devices without a price."""
    named = dict.fromkeys(kind for charge in sheet.charges for kind in charge.entry.device.split(", "))
    return rates_in_words(sheet.rates, list(named))


def rates_in_words(rates: Rates, names: Sequence[str]) -> list[tuple[str, str]]:
    """One line per price of these devices; nothing without any prices at all."""
    if not rates:
        return []
    market = "on demand" if rates.market == "on_demand" else "on the spot market"
    lines = {}
    for name in names:
        price, hourly = rates.price(name), rates.usd_per_hour(name)
        if price is None or hourly is None:
            kind = CPU if name.startswith(CPU) else name
            lines[f"price of {kind}"] = f"unknown {market}; add it to `prices` in the home's settings.yaml"
        else:
            lines[f"price of {price.device}"] = f"{usd(hourly)} per hour {market}, {price.date}, {price.source}"
    return list(lines.items())


def sum_in_words(total: Total, unit: str, has_prices: bool = False) -> str:
    """ "3 stages, 2:05 of device time, 0.12 device-days, $8.81" """
    if not total.stages:
        return "nothing"
    parts = [plural(total.stages, "stage"), f"{took(total.device_seconds)} of device time"]
    if total.unknown == total.stages:
        parts.append(f"{unit} unknown")
    else:
        besides = f" and {took(total.unknown_device_seconds)} on unknown devices" if total.unknown else ""
        parts.append(f"{total_days(Total(1, device_days=total.device_days))} {unit}{besides}")
    if has_prices:
        parts.append("dollars unknown" if total.unpriced == total.stages else total_usd(total))
    return ", ".join(parts)


def cost_as_rich(sheet: CostSheet) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    from assay.report.tables.grids import Grid

    lines = (Text(f"{name}: {words}") for name, words in cost_lines(sheet))
    many = len(sheet.charges) > MOST_ROWS
    return Group(Grid(_kinds_listing(sheet)) if many else Grid(charges_listing(sheet)), Text(), *lines)


def charges_listing(sheet: CostSheet) -> Listing[Charge]:
    """A row per stage, without empty columns."""
    columns: tuple[Column[Charge], ...] = (
        Column("stage", lambda c: c.entry.stage),
        Column("for", lambda c: c.serves, min_width=10),
        Column("budget", lambda c: c.budget, is_number=True),
        Column("device", lambda c: devices(c.entry.count, c.entry.device), min_width=8),
        Column("took", lambda c: took(c.entry.seconds), is_number=True),
        Column("rate", partial(_rate, sheet.hints.short_units), is_number=True),
        Column("utilisation", _utilisation, is_number=True, title="of peak"),
        Column(sheet.hints.days.name, lambda c: total_days(total([c.entry])), is_number=True),
        *([Column("USD", partial(_dollars, sheet.rates), is_number=True)] if sheet.rates else []),
        Column("stored", _stored),
    )
    shown = [column for column in columns if any(map(column.shown, sheet.charges))]
    return Listing(_title(sheet), shown, sheet.charges, lambda charge: "faint" if charge.is_found else "")


def _rate(short_units: Mapping[str, str], charge: Charge) -> str:
    per_second = charge.entry.items_per_second
    return "" if per_second is None else rate(per_second, charge.unit, short_units)


def _dollars(rates: Rates, charge: Charge) -> str:
    return total_usd(total([charge.entry], rates))


def _utilisation(charge: Charge) -> str:
    return "" if charge.entry.utilisation is None else f"{charge.entry.utilisation:.0%}"


def _kinds_listing(sheet: CostSheet) -> Listing[tuple[Charge, Total]]:
    """A row per stage name, device, and whether it was stored before: the first of the charges, and their sum."""
    kinds: dict[tuple[str, str, bool], list[Charge]] = {}
    for charge in sheet.charges:
        kinds.setdefault((charge.entry.stage, charge.entry.device, charge.is_found), []).append(charge)
    rows = [(charges[0], total((charge.entry for charge in charges), sheet.rates)) for charges in kinds.values()]
    columns: tuple[Column[tuple[Charge, Total]], ...] = (
        Column("stage", lambda kind: kind[0].entry.stage),
        Column("stages", lambda kind: f"{kind[1].stages:,}", is_number=True),
        Column("device", lambda kind: kind[0].entry.device, min_width=8),
        Column("took", lambda kind: took(kind[1].device_seconds), is_number=True),
        Column(sheet.hints.days.name, lambda kind: total_days(kind[1]), is_number=True),
        *([Column("USD", lambda kind: total_usd(kind[1]), is_number=True)] if sheet.rates else []),
        Column("stored", lambda kind: _stored(kind[0])),
    )
    return Listing(_title(sheet), columns, rows, lambda kind: "faint" if kind[0].is_found else "")


def _title(sheet: CostSheet) -> str:
    return f"{sheet.sweep}: what it cost"


def _stored(charge: Charge) -> str:
    return "before" if charge.is_found else ""


def cost_as_json(sheet: CostSheet) -> dict[str, Any]:
    return {
        "sweep": sheet.sweep,
        "stages": [_charge_json(charge, sheet) for charge in sheet.charges],
        "charged": total_json(sheet.total, sheet),
        "saved": {name: total_json(getattr(sheet.savings, name), sheet) for name, _ in SAVINGS},
        "market": sheet.rates.market if sheet.rates else None,
    }


def total_json(total: Total, sheet: CostSheet) -> dict[str, Any]:
    """Device-days and dollars are the sums of the known ones; null if all are unknown."""
    return {
        "stages": total.stages,
        "device_seconds": total.device_seconds,
        sheet.hints.days.field: total.device_days if total.unknown < total.stages or not total.stages else None,
        "unknown_stages": total.unknown,
        "unknown_device_seconds": total.unknown_device_seconds,
        "usd": total.usd if total.unpriced < total.stages or not total.stages else None,
        "unpriced_stages": total.unpriced,
    }


def _charge_json(charge: Charge, sheet: CostSheet) -> dict[str, Any]:
    entry = charge.entry
    return {
        "stage": entry.stage,
        "key": entry.key,
        "for": charge.serves,
        "trials": charge.trials,
        "budget": charge.budget or None,
        "device": entry.device,
        "count": entry.count,
        "seconds": entry.seconds,
        "done": entry.done,
        "items": entry.items,
        "item_unit": charge.unit or None,
        "items_per_second": entry.items_per_second,
        "utilisation": entry.utilisation,
        sheet.hints.days.field: entry.device_days,
        "usd": dollars(entry, sheet.rates),
        "stored_before": charge.is_found,
    }


def cost_as_csv(sheets: Sequence[CostSheet]) -> str:
    """One line per stage and sweep, with full precision."""
    lines = [{"sweep": sheet.sweep, **_charge_json(charge, sheet)} for sheet in sheets for charge in sheet.charges]
    headers = dict.fromkeys(["sweep", *(name for line in lines for name in line)])  # names of device-days may differ
    return csv_text(list(headers), lines)
