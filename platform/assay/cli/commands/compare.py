"""`assay compare`: the final tables of sweeps, or what they cost, from what is stored. Computes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from assay.cli.names import open_sweep, report_folder
from assay.cli.output import console, print_json, store_to_look_at
from assay.costs.priced import Priced, priced
from assay.costs.savings import CostSheet, cost_sheet
from assay.errors import UserError
from assay.home import Home
from assay.planning import Plan, computed_of, make_plan
from assay.report import as_csv, as_json, as_rich, earlier_failures, earlier_logs
from assay.report.tables.costs import cost_as_csv, cost_as_json, cost_as_rich
from assay.results import Standing, Table, from_store, joint, table
from assay.store import Store, StoredResult
from assay.sweep import Sweep


@dataclass(frozen=True)
class _Stored:
    """A sweep as the store knows it, and its report what failed."""

    label: str
    """What it is called in this comparison."""
    plan: Plan
    trials: tuple[Standing, ...]
    logs: Mapping[str, Path]
    by_ledger: Priced

    @property
    def table(self) -> Table:
        return replace(table(self.plan, self.trials, self.logs, self.by_ledger), sweep=self.label)

    def cost(self, store: Store) -> CostSheet:
        results: dict[str, StoredResult] = {}
        for trial in self.trials:
            results |= trial.results
        sheet = cost_sheet(self.plan, results, computed_of(self.plan.sweep, store).all())
        return replace(sheet, sweep=self.label)


def compare_sweeps(
    names: Sequence[str], profile: str | None, sets: Sequence[str], *, is_json: bool, is_csv: bool, is_cost: bool
) -> None:
    """One table a sweep, and a ranking of all where they are ranked by the same metric."""
    if is_json and is_csv:
        raise UserError("got --json and --csv; ask for one of them")
    home = Home.default()
    store = store_to_look_at(home)
    plans = [make_plan(open_sweep(name, profile, sets), store) for name in names]
    called = zip(_labels([plan.sweep for plan in plans]), plans, strict=True)
    found = [_stored(label, plan, store, report_folder(home, plan.sweep)) for label, plan in called]
    if is_cost:
        _print_costs([sweep.cost(store) for sweep in found], is_json, is_csv)
    else:
        _print_tables([sweep.table for sweep in found], is_json, is_csv)


def _labels(sweeps: Sequence[Sweep]) -> list[str]:
    """Their names; of several of one name their files, since two studies' arms are not one."""
    names = [sweep.name for sweep in sweeps]
    return [sweep.name if names.count(sweep.name) == 1 else sweep.file for sweep in sweeps]


def _stored(label: str, plan: Plan, store: Store, folder: Path) -> _Stored:
    failed = earlier_failures(folder)
    trials, logs = from_store(plan, store, failed=failed), earlier_logs(folder, failed.values())
    return _Stored(label, plan, trials, logs, priced(plan, store))


def _print_tables(tables: Sequence[Table], is_json: bool, is_csv: bool) -> None:
    together = joint(tables)
    if is_json:
        print_json({"sweeps": [as_json(made) for made in tables], "joint": together and as_json(together)})
    elif is_csv:
        print(as_csv(*tables), end="")
    else:
        out = console()
        for number, made in enumerate([*tables, together] if together else tables):
            if number:
                out.print()
            out.print(as_rich(made), crop=False)


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
