"""`assay show preset tables`: the presets as the tables that a workload's authors print."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from operator import itemgetter

from rich.text import Text

from assay.cli.output import console, print_json
from assay.errors import UserError, did_you_mean
from assay.report.tables.grids import Grid
from assay.report.tables.listing import Column, Listing
from assay.workload import PrintedTable, PrintsTables, Workload

ALL = "tables"


def show_tables(workloads: Sequence[Workload], name: str, is_json: bool) -> None:
    """All tables of the workloads, or the one of that name. Raises UserError if there is none."""
    tables = [table for workload in workloads if isinstance(workload, PrintsTables) for table in workload.tables()]
    chosen = [table for table in tables if name in (ALL, table.name)]
    if not chosen:
        raise UserError(f"unknown table {name!r}{did_you_mean(name, [ALL, *(table.name for table in tables)])}")
    if is_json:
        print_json([asdict(table) for table in chosen])
        return
    out = console()
    for table in chosen:
        out.print(_grid(table))
        for note in table.notes:
            out.print(Text(note, style="dim"), soft_wrap=True)
        out.print()


def _grid(table: PrintedTable) -> Grid[Sequence[str]]:
    columns = [Column[Sequence[str]](name, itemgetter(number)) for number, name in enumerate(["", *table.columns])]
    return Grid(Listing(f"{table.name}: {table.title}", columns, table.rows))
