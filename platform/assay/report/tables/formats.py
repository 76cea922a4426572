"""A Table as Rich, plain text, JSON, CSV and Markdown: the same columns everywhere."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from assay.report.tables.columns import BEST, arm_columns, columns, known_days, rank_of
from assay.report.tables.neutral import csv_text, markdown, markdown_row, markdown_rule
from assay.results.estimates import Difference
from assay.results.rows import Arm, Row
from assay.results.table import Table
from assay.text import relative

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table as RichTable

TEXT_WIDTH = 80


def as_rich(table: Table) -> RenderableType:
    """For a terminal of any width from 80 columns: the best arm stands out, the notes are below."""
    from rich.console import Group
    from rich.text import Text

    from assay.report.tables.grids import Grid

    # Paths are copied: a line break inside one would be copied as well. Print with crop=False.
    failures = (Text(line, style="red", no_wrap=True, overflow="ignore") for line in failure_lines(table))
    source = [f"paper's: {table.reference_source}"] if table.reference_source and table.reference_metrics else []
    notes = (Text(note, style="dim") for note in (*source, *table.notes))
    grids: list[RenderableType] = [Grid(partial(_grid, table), partial(_least_grid, table))]
    if table.arms:
        grids = [Grid(lambda is_tight: _arms_grid(table, is_tight)), Text(), *grids]
    return Group(*grids, Text(), *failures, *notes)


def _arms_grid(table: Table, is_tight: bool) -> RichTable:
    from rich.text import Text

    from assay.report.tables.grids import ruled

    grid = ruled(f"{table.sweep}: over seeds, {best_is(table)}", is_tight)
    cells = arm_columns(table)
    for header, _ in cells:
        is_name = header in ("rank", "arm")
        grid.add_column(
            "" if header == "rank" else header,
            justify="left" if is_name else "right",
            no_wrap=header != "arm",
            overflow="fold",
            min_width={"rank": 4, "arm": 16}.get(header),
        )
    for arm in table.arms:
        style = "bold green" if arm.name == table.best else ""
        grid.add_row(*(Text(shown(arm)) for _, shown in cells), style=style)
    return grid


def _grid(table: Table, is_tight: bool, left_out: Sequence[str] = ()) -> RichTable:
    from rich.text import Text

    from assay.report.tables.grids import ruled

    grid = ruled(f"{table.sweep}: by {table.metric}, {best_is(table)}", is_tight)
    cells = [column for column in columns(table) if column.header not in left_out]
    for column in cells:
        header = "" if column.header == "rank" else column.title or column.header
        grid.add_column(
            header.replace("_", "_\n", 1).replace(" ", "\n") if is_tight else header,
            justify="right" if column.is_number else "left",
            no_wrap=column.is_number,
            overflow="fold",
            min_width={"rank": 4, "trial": 16, "state": 9}.get(column.header),
        )
    for row in table.rows:
        style = "bold green" if rank_of(table, row) == BEST else "red" if row.failure else ""
        shown = (column.shown(row) for column in cells)
        grid.add_row(*(Text(text.replace(" ± ", "\n±") if is_tight else text) for text in shown), style=style)
    return grid


def _least_grid(table: Table, fits: Callable[[RenderableType], bool]) -> RenderableType:
    """Without the columns that say the same in every row: a line below says it once. Then without the last metrics."""
    from rich.console import Group
    from rich.text import Text

    said: dict[str, str] = {}
    for column in columns(table):
        texts = {column.shown(row) for row in table.rows}
        if len(texts) == 1 and len(table.rows) > 1 and column.header != table.metric:
            said[column.header] = texts.pop()
    spare = [column for column in columns(table) if column.is_spare and column.header not in said]
    kept = len(spare)
    while not fits(grid := _grid(table, True, [*said, *(column.header for column in spare[kept:])])) and kept:
        kept -= 1
    lines = ["the same in every row: " + "; ".join(f"{header} {text}" for header, text in said.items())] if said else []
    if spare[kept:]:
        lines.append("no room here, but in --json: " + ", ".join(c.title or c.header for c in spare[kept:]))
    return Group(grid, *(line for text in lines for line in (Text(), Text(text))))


def best_is(table: Table) -> str:
    return "smaller is better" if table.mode == "min" else "larger is better"


def failure_lines(table: Table) -> list[str]:
    """One line a failed trial: its stage, the cause, the log."""
    lines = []
    for row in table.failures:
        assert row.failure is not None
        log = f" (full log: {relative(row.failure.log)})" if row.failure.log else ""
        lines.append(f"{row.trial}: stage {row.failure.stage} failed: {row.failure.cause}{log}")
    return lines


def as_text(table: Table, width: int = TEXT_WIDTH) -> str:
    """The same without colour."""
    from assay.report.tables.grids import Terminal

    out = io.StringIO()
    Terminal(file=out, width=width, color_system=None, legacy_windows=False).print(as_rich(table), crop=False)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def as_json(table: Table) -> dict[str, Any]:
    """Everything, for programs. A value that is no finite number is null."""
    told: dict[str, Any] = {
        "sweep": table.sweep,
        "metric": table.metric,
        "mode": table.mode,
        "reference_source": table.reference_source,
        "trials": [_row_json(row) for row in table.rows],
        "arms": [_arm_json(arm) for arm in table.arms],
        "notes": list(table.notes),
    }
    return {name: _or_null(value) for name, value in told.items()}


def _or_null(value: Any) -> Any:
    """JSON has no NaN and no infinity."""
    if isinstance(value, Mapping):
        return {name: _or_null(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_or_null(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _row_json(row: Row) -> dict[str, Any]:
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
        "metrics": row.metrics,
        "intervals": {n: e.half_width for n, e in row.estimates.items() if e.half_width is not None},
        "from_best": _gap_json(row.from_best),
        "unranked": row.unranked or None,
        "conditions": row.conditions,
        "reference": row.reference,
        "num_samples": row.num_samples,
        "seconds": row.seconds,
        "v100_days": known_days(row.cost),
        "ledger": {name: known_days(cost) for name, cost in row.ledger.items()},
        "status": row.status,
        "varied": row.varied,
        "failure": failure,
    }


def _gap_json(difference: Difference | None) -> dict[str, Any] | None:
    if difference is None:
        return None
    return {"value": difference.value, "noise": difference.noise, "is_beyond_noise": difference.is_beyond_noise}


def _arm_json(arm: Arm) -> dict[str, Any]:
    return {
        "arm": arm.name,
        "rank": None if arm.lacks else arm.rank,
        "seeds": arm.seeds,
        "lacks": arm.lacks,
        "mean": arm.mean,
        "spread": arm.spread,
        "half_width": arm.half_width,
        "from_best": _gap_json(arm.from_best),
    }


def as_csv(*tables: Table) -> str:
    """Full precision, one header line; of several tables the first column names the sweep."""
    headers = ["sweep"] if len(tables) > 1 else []
    headers += dict.fromkeys(column.header for table in tables for column in columns(table))
    lines: list[dict[str, object]] = []
    for table in tables:
        cells = list(columns(table))
        lines += [{"sweep": table.sweep} | {c.header: c.value(row) for c in cells} for row in table.rows]
    return csv_text(headers, lines)


def as_markdown(table: Table) -> str:
    cells = list(columns(table))
    lines = [
        f"# {table.sweep}",
        "",
        f"By {markdown(table.metric)}, {best_is(table)}.",
        "",
        *_markdown_arms(table),
        markdown_row([column.header for column in cells]),
        markdown_rule(["---:" if column.is_number else "---" for column in cells]),
        *(markdown_row([column.shown(row) for column in cells]) for row in table.rows),
        "",
        *(f"- {markdown(line)}" for line in (*failure_lines(table), *table.notes)),
    ]
    return "\n".join(lines) + "\n"


def _markdown_arms(table: Table) -> list[str]:
    if not table.arms:
        return []
    cells = arm_columns(table)
    rows = (markdown_row([shown(arm) for _, shown in cells]) for arm in table.arms)
    return [markdown_row([header for header, _ in cells]), markdown_rule(["---"] * len(cells)), *rows, ""]
