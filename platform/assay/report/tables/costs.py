"""A CostSheet as Rich, JSON and CSV."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from assay.costs.ledger import Total, total, total_days
from assay.costs.savings import Charge, CostSheet
from assay.report.tables.neutral import csv_text
from assay.text import plural, rate, took

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table as RichTable

SAVINGS = (
    ("sharing", "stages that several trials read, computed once"),
    ("caching", "stages that were stored before"),
    ("early_stopping", "rungs that the scheduler spared, estimated"),
)
"""What saved, and how it is said."""

CHARGE_COLUMNS: tuple[tuple[str, Callable[[Charge], str]], ...] = (
    ("stage", lambda c: c.entry.stage),
    ("for", lambda c: c.serves),
    ("budget", lambda c: c.budget),
    ("device", lambda c: f"{c.entry.count} × {c.entry.device}" if c.entry.count > 1 else c.entry.device),
    ("took", lambda c: took(c.entry.seconds)),
    ("rate", lambda c: "" if c.entry.images_per_second is None else rate(c.entry.images_per_second, "images")),
    ("utilisation", lambda c: "" if c.entry.utilisation is None else f"{c.entry.utilisation:.0%}"),
    ("V100-days", lambda c: total_days(Total(1, v100_days=c.entry.v100_days or 0, unknown=c.entry.v100_days is None))),
    ("stored", lambda c: "before" if c.is_found else ""),
)
"""Headers and cells, the same in every format."""
NUMBERS = {"budget", "took", "rate", "utilisation", "V100-days", "stages"}
MOST_ROWS = 40
"""On a terminal: of more stages, a row a kind and device."""


def cost_lines(sheet: CostSheet) -> list[tuple[str, str]]:
    """What was charged and what was saved, each with its sum: ("charged", "5 stages: 3:20 of devices, …")."""
    savings = [(name, words, getattr(sheet.savings, name)) for name, words in SAVINGS]
    told = [(f"saved by {n.replace('_', ' ')}", f"{sum_in_words(t)} ({w})") for n, w, t in savings if t.stages]
    return [("charged", f"{sum_in_words(sheet.total)} (each stage once)"), *told]


def sum_in_words(total: Total) -> str:
    """ "3 stages, 2:05 of device time, 0.12 V100-days" """
    if not total.stages:
        return "nothing"
    parts = [plural(total.stages, "stage"), f"{took(total.device_seconds)} of device time"]
    if total.unknown == total.stages:
        parts.append("V100-days unknown")
    else:
        besides = f" and {took(total.unknown_device_seconds)} on unknown devices" if total.unknown else ""
        parts.append(f"{total_days(Total(1, v100_days=total.v100_days))} V100-days{besides}")
    return ", ".join(parts)


def cost_as_rich(sheet: CostSheet) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    from assay.report.tables.grids import Grid

    lines = (Text(f"{name}: {words}") for name, words in cost_lines(sheet))
    return Group(Grid(lambda is_tight: _grid(sheet, is_tight)), Text(), *lines)


def _grid(sheet: CostSheet, is_tight: bool) -> RichTable:
    from rich.text import Text

    from assay.report.tables.grids import ruled

    grid = ruled(f"{sheet.sweep}: what it cost", is_tight)
    headers, rows = _by_kind(sheet) if len(sheet.charges) > MOST_ROWS else shown_charges(sheet)
    for header in headers:
        title = {"utilisation": "of peak"}.get(header, header)
        width = {"for": 10, "device": 8}.get(header)
        is_number = header in NUMBERS
        grid.add_column(
            title, justify="right" if is_number else "left", no_wrap=is_number, overflow="fold", min_width=width
        )
    for cells in rows:
        grid.add_row(*map(Text, cells), style="dim" if cells[-1] == "before" else "")
    return grid


def shown_charges(sheet: CostSheet) -> tuple[list[str], list[list[str]]]:
    """Headers and rows, without the columns that nothing is in."""
    shown = [(header, cell) for header, cell in CHARGE_COLUMNS if any(cell(charge) for charge in sheet.charges)]
    return [header for header, _ in shown], [[cell(charge) for _, cell in shown] for charge in sheet.charges]


def _by_kind(sheet: CostSheet) -> tuple[list[str], list[list[str]]]:
    """A row a stage's name, device, and whether it was there before."""
    kinds: dict[tuple[str, str, bool], list[Charge]] = {}
    for charge in sheet.charges:
        kinds.setdefault((charge.entry.stage, charge.entry.device, charge.is_found), []).append(charge)
    rows = []
    for (stage, device, is_found), charges in kinds.items():
        own = total(charge.entry for charge in charges)
        rows.append([stage, f"{own.stages:,}", device, took(own.device_seconds), total_days(own), "before" * is_found])
    return ["stage", "stages", "device", "took", "V100-days", "stored"], rows


def cost_as_json(sheet: CostSheet) -> dict[str, Any]:
    return {
        "sweep": sheet.sweep,
        "stages": [_charge_json(charge) for charge in sheet.charges],
        "charged": total_json(sheet.total),
        "saved": {name: total_json(getattr(sheet.savings, name)) for name, _ in SAVINGS},
    }


def total_json(total: Total) -> dict[str, Any]:
    """V100-days are of the stages that are known; null when none is."""
    return {
        "stages": total.stages,
        "device_seconds": total.device_seconds,
        "v100_days": total.v100_days if total.unknown < total.stages or not total.stages else None,
        "unknown_stages": total.unknown,
        "unknown_device_seconds": total.unknown_device_seconds,
    }


def _charge_json(charge: Charge) -> dict[str, Any]:
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
        "items": entry.items,
        "images": entry.images,
        "images_per_second": entry.images_per_second,
        "utilisation": entry.utilisation,
        "v100_days": entry.v100_days,
        "stored_before": charge.is_found,
    }


def cost_as_csv(sheets: Sequence[CostSheet]) -> str:
    """A line a stage and sweep, full precision."""
    lines = [{"sweep": sheet.sweep, **_charge_json(charge)} for sheet in sheets for charge in sheet.charges]
    return csv_text(list(lines[0]) if lines else ["sweep"], lines)
