"""`assay show preset tables`: the presets as the tables that a workload's authors print."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from rich.table import Table
from rich.text import Text

from assay.cli.output import console, print_json
from assay.errors import UserError, did_you_mean
from assay.report.tables.grids import Grid, ruled
from assay.workload import PrintedTable, PrintsTables, Workload

ALL = "tables"


def show_tables(workloads: Sequence[Workload], name: str, is_json: bool) -> None:
    """All tables of the workloads that have some, or the one of that name. Raises UserError when there is none."""
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


def _grid(table: PrintedTable) -> Grid:
    def make(is_tight: bool) -> Table:
        grid = ruled(f"{table.name}: {table.title}", is_tight)
        grid.add_column("", overflow="fold")
        for column in table.columns:
            grid.add_column(column, overflow="fold")
        for row in table.rows:
            grid.add_row(*map(Text, row))
        return grid

    return Grid(make)
