"""A CostSheet as Rich, JSON and CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from assay.costs.ledger import Total, total, total_days
from assay.costs.savings import Charge, CostSheet
from assay.report.tables.listing import Column, Listing
from assay.report.tables.neutral import csv_text
from assay.text import devices, plural, rate, took

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
    unit = sheet.hints.days.name
    savings = [(name, words, getattr(sheet.savings, name)) for name, words in SAVINGS]
    saved = [(f"saved by {n.replace('_', ' ')}", f"{sum_in_words(t, unit)} ({w})") for n, w, t in savings if t.stages]
    return [("charged", f"{sum_in_words(sheet.total, unit)} (each stage once)"), *saved]


def sum_in_words(total: Total, unit: str) -> str:
    """ "3 stages, 2:05 of device time, 0.12 device-days" """
    if not total.stages:
        return "nothing"
    parts = [plural(total.stages, "stage"), f"{took(total.device_seconds)} of device time"]
    if total.unknown == total.stages:
        parts.append(f"{unit} unknown")
    else:
        besides = f" and {took(total.unknown_device_seconds)} on unknown devices" if total.unknown else ""
        parts.append(f"{total_days(Total(1, device_days=total.device_days))} {unit}{besides}")
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
        Column("stored", _stored),
    )
    shown = [column for column in columns if any(map(column.shown, sheet.charges))]
    return Listing(_title(sheet), shown, sheet.charges, lambda charge: "faint" if charge.is_found else "")


def _rate(short_units: Mapping[str, str], charge: Charge) -> str:
    per_second = charge.entry.items_per_second
    return "" if per_second is None else rate(per_second, charge.unit, short_units)


def _utilisation(charge: Charge) -> str:
    return "" if charge.entry.utilisation is None else f"{charge.entry.utilisation:.0%}"


def _kinds_listing(sheet: CostSheet) -> Listing[tuple[Charge, Total]]:
    """A row per stage name, device, and whether it was stored before: the first of the charges, and their sum."""
    kinds: dict[tuple[str, str, bool], list[Charge]] = {}
    for charge in sheet.charges:
        kinds.setdefault((charge.entry.stage, charge.entry.device, charge.is_found), []).append(charge)
    rows = [(charges[0], total(charge.entry for charge in charges)) for charges in kinds.values()]
    columns: tuple[Column[tuple[Charge, Total]], ...] = (
        Column("stage", lambda kind: kind[0].entry.stage),
        Column("stages", lambda kind: f"{kind[1].stages:,}", is_number=True),
        Column("device", lambda kind: kind[0].entry.device, min_width=8),
        Column("took", lambda kind: took(kind[1].device_seconds), is_number=True),
        Column(sheet.hints.days.name, lambda kind: total_days(kind[1]), is_number=True),
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
    }


def total_json(total: Total, sheet: CostSheet) -> dict[str, Any]:
    """Device-days are the sum of the known ones; null if all are unknown."""
    return {
        "stages": total.stages,
        "device_seconds": total.device_seconds,
        sheet.hints.days.field: total.device_days if total.unknown < total.stages or not total.stages else None,
        "unknown_stages": total.unknown,
        "unknown_device_seconds": total.unknown_device_seconds,
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
        "stored_before": charge.is_found,
    }


def cost_as_csv(sheets: Sequence[CostSheet]) -> str:
    """One line per stage and sweep, with full precision."""
    lines = [{"sweep": sheet.sweep, **_charge_json(charge, sheet)} for sheet in sheets for charge in sheet.charges]
    headers = dict.fromkeys(["sweep", *(name for line in lines for name in line)])  # names of device-days may differ
    return csv_text(list(headers), lines)
