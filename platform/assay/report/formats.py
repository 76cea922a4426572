"""A Table as Rich, plain text, JSON, CSV and Markdown: the same columns everywhere."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from assay.report.table import Row, Table
from assay.report.words import decimals, metric, relative, took

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table as RichTable

TEXT_WIDTH = 80
BEST = "best"


@dataclass(frozen=True)
class Column:
    """One column: how a person reads a cell of it, and its value as data."""

    header: str
    shown: Callable[[Row], str]
    value: Callable[[Row], str | float | int | None]
    is_number: bool = True
    title: str = ""
    """The header on a terminal, where it must be short: a note says the rest."""


def columns(table: Table) -> Iterator[Column]:
    yield Column("rank", lambda r: _rank(table, r), lambda r: r.rank, is_number=False)
    yield Column("trial", lambda r: r.trial, lambda r: r.trial, is_number=False)
    for name in (*table.metrics, *(n for n in table.reference_metrics if n not in table.metrics)):
        if name in table.metrics:
            yield _metric_column(table, name)
        if name in table.reference_metrics:
            yield _reference_column(table, name)
    yield Column("N", lambda r: _or_dash(r.num_samples, "{:,}"), lambda r: r.num_samples)
    yield Column("compute", lambda r: "-" if r.seconds is None else took(r.seconds), lambda r: r.seconds)
    yield Column("state", lambda r: r.status, lambda r: r.status, is_number=False)


def _rank(table: Table, row: Row) -> str:
    if row.rank is None:
        return "-"
    return BEST if row.rank == 1 and sum(r.rank is not None for r in table.rows) > 1 else str(row.rank)


def _metric_column(table: Table, name: str) -> Column:
    places = decimals(row.metrics[name] for row in table.rows if name in row.metrics)
    return Column(
        name,
        lambda r: metric(r.metrics[name], places) if name in r.metrics else "-",
        lambda r: r.metrics.get(name),
    )


def _reference_column(table: Table, name: str) -> Column:
    where = f" ({table.reference_source})" if table.reference_source else ""
    return Column(
        f"paper's {name}{where}",
        lambda r: _or_dash(r.reference.get(name), "{:g}"),
        lambda r: r.reference.get(name),
        title=f"paper's {name}",
    )


def _or_dash(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


def as_rich(table: Table) -> RenderableType:
    """For a terminal of any width from 80 columns: the best arm stands out, the notes are below."""
    from rich.console import Group
    from rich.text import Text

    from assay.report.grids import Grid

    # Paths are copied: a line break inside one would be copied as well. Print with crop=False.
    failures = (Text(line, style="red", no_wrap=True, overflow="ignore") for line in failure_lines(table))
    source = [f"paper's: {table.reference_source}"] if table.reference_source and table.reference_metrics else []
    notes = (Text(note, style="dim") for note in (*source, *table.notes))
    return Group(Grid(lambda is_tight: _grid(table, is_tight)), Text(), *failures, *notes)


def _grid(table: Table, is_tight: bool) -> RichTable:
    from rich.text import Text

    from assay.report.grids import ruled

    grid = ruled(f"{table.sweep}: by {table.metric}, {_best_is(table)}", is_tight)
    cells = list(columns(table))
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
        style = "bold green" if _rank(table, row) == BEST else "red" if row.failure else ""
        grid.add_row(*(Text(column.shown(row)) for column in cells), style=style)
    return grid


def _best_is(table: Table) -> str:
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
    from rich.console import Console

    out = io.StringIO()
    Console(file=out, width=width, color_system=None, legacy_windows=False).print(as_rich(table), crop=False)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def as_json(table: Table) -> dict[str, Any]:
    """Everything, for programs. A value that is no finite number is null."""
    return {
        "sweep": table.sweep,
        "metric": table.metric,
        "mode": table.mode,
        "reference_source": table.reference_source,
        "trials": [_row_json(row) for row in table.rows],
        "notes": list(table.notes),
    }


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
        "metrics": {name: value if math.isfinite(value) else None for name, value in row.metrics.items()},
        "reference": dict(row.reference),
        "num_samples": row.num_samples,
        "seconds": row.seconds,
        "status": row.status,
        "varied": dict(row.varied),
        "failure": failure,
    }


def as_csv(table: Table) -> str:
    """Full precision, one header line."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    cells = list(columns(table))
    writer.writerow([column.header for column in cells])
    for row in table.rows:
        values = [column.value(row) for column in cells]
        writer.writerow(["" if value is None else value for value in values])
    return out.getvalue()


def as_markdown(table: Table) -> str:
    cells = list(columns(table))
    lines = [
        f"# {table.sweep}",
        "",
        f"By {table.metric}, {_best_is(table)}.",
        "",
        _markdown_row([column.header for column in cells]),
        _markdown_row(["---:" if column.is_number else "---" for column in cells]),
        *(_markdown_row([column.shown(row) for column in cells]) for row in table.rows),
        "",
        *(f"- {line}" for line in (*failure_lines(table), *table.notes)),
    ]
    return "\n".join(lines) + "\n"


def _markdown_row(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
