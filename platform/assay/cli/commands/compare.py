"""`assay compare`: the final tables of sweeps, or their costs, from stored results. Computes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from assay.cli.names import open_sweep
from assay.cli.output import console, print_json, read_only_store
from assay.costs.savings import CostSheet
from assay.errors import UserError
from assay.home import Home
from assay.planning import make_plan
from assay.report import as_csv, as_json, as_rich
from assay.report.stored import StoredStudy, labelled, labels
from assay.report.tables.costs import cost_as_csv, cost_as_json, cost_as_rich
from assay.results import Table, joint


def compare_sweeps(
    names: Sequence[str], profile: str | None, sets: Sequence[str], *, is_json: bool, is_csv: bool, is_cost: bool
) -> None:
    """One table per sweep, and a joint ranking if all have the same metric."""
    if is_json and is_csv:
        raise UserError("got --json and --csv; give only one of them")
    home = Home.default()
    store = read_only_store(home)
    plans = [make_plan(open_sweep(name, profile, sets), store) for name in names]
    studies = [StoredStudy.of(plan, store, home) for plan in plans]
    if is_cost:
        sheets = [replace(study.cost, sweep=label) for study, label in zip(studies, labels(studies), strict=True)]
        _print_costs(sheets, is_json, is_csv)
    else:
        _print_tables(labelled(studies), is_json, is_csv)


def _print_tables(tables: Sequence[Table], is_json: bool, is_csv: bool) -> None:
    together = joint(tables)
    if is_json:
        print_json({"sweeps": [as_json(table) for table in tables], "joint": together and as_json(together)})
    elif is_csv:
        print(as_csv(*tables), end="")
    else:
        out = console()
        for number, table in enumerate([*tables, together] if together else tables):
            if number:
                out.print()
            out.print(as_rich(table), crop=False)


def _print_costs(sheets: Sequence[CostSheet], is_json: bool, is_csv: bool) -> None:
    if is_json:
        print_json({"sweeps": [cost_as_json(sheet) for sheet in sheets]})
    elif is_csv:
        print(cost_as_csv(sheets), end="")
    else:
        out = console()
        for number, sheet in enumerate(sheets):
            if number:
                out.print()
            out.print(cost_as_rich(sheet), crop=False)
