"""A Table as Rich, JSON, CSV and Markdown, with the same columns everywhere."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from assay.report.tables.columns import arms_listing, known_days, ranked_by, trials_listing
from assay.report.tables.neutral import csv_of, markdown, markdown_table
from assay.results.intervals import Difference
from assay.results.rows import ArmSummary, Row
from assay.results.table import Table
from assay.text import relative

if TYPE_CHECKING:
    from rich.console import RenderableType


def as_rich(table: Table) -> RenderableType:
    """For terminals of 80 columns or more: the best is highlighted, and notes are below the table."""
    from rich.console import Group
    from rich.text import Text

    from assay.report.tables.grids import Grid

    # Lines with paths are not wrapped, so that users can copy them. Print with crop=False.
    failures = (Text(line, style="red", no_wrap=True, overflow="ignore") for line in failure_lines(table))
    source = [f"paper's: {table.reference_source}"] if table.reference_source and table.reference_metrics else []
    notes = (Text(note, style="dim") for note in (*source, *table.notes))
    grids: list[RenderableType] = [Grid(trials_listing(table))]
    if table.arms:
        grids = [Grid(arms_listing(table)), Text(), *grids]
    return Group(*grids, Text(), *failures, *notes)


def failure_lines(table: Table) -> list[str]:
    """One line per failed trial: its stage, the cause, the log."""
    lines = []
    for row in table.failures:
        assert row.failure is not None
        log = f" (full log: {relative(row.failure.log)})" if row.failure.log else ""
        lines.append(f"{row.trial}: stage {row.failure.stage} failed: {row.failure.cause}{log}")
    return lines


def as_json(table: Table) -> dict[str, Any]:
    """All fields; numbers that are not finite become null."""
    fields: dict[str, Any] = {
        "sweep": table.sweep,
        "metric": table.metric,
        "mode": table.mode,
        "objectives": [{"name": each.name, "mode": each.mode} for each in table.objectives],
        "reference_source": table.reference_source,
        "trials": [_row_json(table, row) for row in table.rows],
        "arms": [_arm_json(table, arm) for arm in table.arms],
        "notes": list(table.notes),
    }
    return {name: _or_null(value) for name, value in fields.items()}


def _or_null(value: Any) -> Any:
    """JSON has no NaN and no infinity."""
    if isinstance(value, Mapping):
        return {name: _or_null(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_or_null(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _row_json(table: Table, row: Row) -> dict[str, Any]:
    failure = row.failure and {
        "stage": row.failure.stage,
        "key": row.failure.key,
        "cause": row.failure.cause,
        "log": str(row.failure.log) if row.failure.log else None,
    }
    return {
        "trial": row.trial,
        "arm": row.arm,
        "seed": row.seed,
        "rank": row.rank,
        "pareto": None if table.front is None else table.front.has(row),
        "metrics": row.metrics,
        "objectives": row.objectives,
        "intervals": {n: e.half_width for n, e in row.estimates.items() if e.half_width is not None},
        "from_best": _gap_json(row.from_best),
        "unranked": row.unranked or None,
        "conditions": row.conditions,
        "reference": row.reference,
        "reference_note": row.reference_note or None,
        **({table.count: row.count} if table.count else {}),
        "seconds": row.seconds,
        table.days.field: known_days(row.cost),
        "ledger": {name: known_days(cost) for name, cost in row.ledger.items()},
        "status": row.status,
        "varied": row.varied,
        "failure": failure,
    }


def _gap_json(difference: Difference | None) -> dict[str, Any] | None:
    if difference is None:
        return None
    return {"value": difference.value, "noise": difference.noise, "is_beyond_noise": difference.is_beyond_noise}


def _arm_json(table: Table, arm: ArmSummary) -> dict[str, Any]:
    return {
        "arm": arm.name,
        "rank": None if arm.lacks else arm.rank,
        "pareto": None if table.front is None else table.front.has_name(arm.name),
        "objectives": arm.objectives,
        "seeds": arm.seeds,
        "lacks": arm.lacks,
        "mean": arm.mean,
        "spread": arm.spread,
        "half_width": arm.half_width,
        "from_best": _gap_json(arm.from_best),
    }


def as_csv(*tables: Table) -> str:
    """Full precision and one header line; with several tables, the first column names the sweep."""
    return csv_of([(table.sweep, trials_listing(table)) for table in tables])


def as_markdown(table: Table) -> str:
    arms = [*markdown_table(arms_listing(table)), ""] if table.arms else []
    lines = [
        f"# {table.sweep}",
        "",
        f"Ranked {markdown(ranked_by(table))}.",
        "",
        *arms,
        *markdown_table(trials_listing(table)),
        "",
        *(f"- {markdown(line)}" for line in (*failure_lines(table), *table.notes)),
    ]
    return "\n".join(lines) + "\n"
