"""A sweep's report as files: report.html and interactive.html, the tables, report.json, the pictures, and the logs of
failed stages."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from assay.costs.priced_metrics import NOT_PRICED, PricedMetrics
from assay.costs.rates import NO_RATES, Rates
from assay.costs.savings import CostSheet, cost_sheet
from assay.errors import AssayError, StageFailed, UserError
from assay.planning import Plan
from assay.report.atomic_files import written_aside
from assay.report.report_file import REPORT, ReportFile
from assay.report.tables.costs import cost_as_csv, cost_as_json
from assay.report.tables.formats import as_csv, as_json, as_markdown
from assay.results import Table, TrialOutcome, table
from assay.store.io_errors import full, no_room

if TYPE_CHECKING:
    from assay.report.drawing import Drawn

PAGE = "report.html"
ERRORS = "errors"


@dataclass(frozen=True)
class Written:
    """A written report."""

    table: Table
    folder: Path
    pictures: tuple[Path, ...]
    """The overview first, then the curves and plots; without the trials' own sample grids."""

    @property
    def page(self) -> Path:
        return self.folder / PAGE


def write(
    plan: Plan,
    trials: Sequence[TrialOutcome],
    folder: Path,
    computed: Set[str],
    by_ledger: PricedMetrics = NOT_PRICED,
    rates: Rates = NO_RATES,
) -> Written:
    """Write the whole report, replacing an earlier one. `computed`: the keys that the study's own runs computed;
    `rates`: the prices of devices.

    All its files come from one writer, also if several write at the same time. If it raises OSError, an earlier report
    stays as it was.
    """
    with written_aside(folder, lambda aside: _outdated(folder, aside)) as aside:
        ranking = table(plan, trials, _write_logs(trials, folder / ERRORS, aside / ERRORS), by_ledger)
        drawn = _draw(plan, trials, ranking, aside)
        ranking = replace(ranking, notes=(*ranking.notes, *drawn.omissions))
        cost = costs_of_trials(plan, trials, computed, rates)
        (aside / "table.csv").write_text(as_csv(ranking), encoding="utf-8")
        (aside / "table.md").write_text(as_markdown(ranking), encoding="utf-8")
        (aside / "cost.csv").write_text(cost_as_csv([cost]), encoding="utf-8")
        summary = {
            **as_json(ranking),
            "cost": cost_as_json(cost),
            "file": plan.sweep.file,
            "profile": plan.sweep.profile,
            "sets": list(plan.sweep.sets),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "pictures": [picture.name for picture in drawn.pictures],
            "grids": {trial: grid.name for trial, grid in drawn.grids.items()},
        }
        (aside / REPORT).write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        _write_pages(aside / PAGE, _page(plan, trials, ranking, cost, drawn), drawn)
    return Written(ranking, folder, tuple(folder / picture.name for picture in drawn.pictures))


def write_page(
    plan: Plan,
    trials: Sequence[TrialOutcome],
    file: Path,
    computed: Set[str],
    logs: Mapping[str, Path],
    by_ledger: PricedMetrics = NOT_PRICED,
    rates: Rates = NO_RATES,
    *,
    is_alone: bool = False,
) -> Table:
    """Write the page, and the interactive one beside it unless it `is_alone`. `logs`: key of a failed stage → the file
    of its traceback."""
    ranking = table(plan, trials, logs, by_ledger)
    with tempfile.TemporaryDirectory() as folder:
        drawn = _draw(plan, trials, ranking, Path(folder))
        ranking = replace(ranking, notes=(*ranking.notes, *drawn.omissions))
        drawn = replace(drawn, interactive=None) if is_alone else drawn
        text = _page(plan, trials, ranking, costs_of_trials(plan, trials, computed, rates), drawn)
    if file.exists() and not file.is_file():
        file.write_text(text, encoding="utf-8")  # a pipe or a device cannot be replaced
        return ranking
    with written_aside(file.resolve().parent) as aside:
        _write_pages(aside / file.resolve().name, text, drawn)
    return ranking


def _draw(plan: Plan, trials: Sequence[TrialOutcome], ranking: Table, folder: Path) -> Drawn:
    from assay.report.drawing import draw

    return draw(plan, trials, ranking, folder)


def _page(plan: Plan, trials: Sequence[TrialOutcome], ranking: Table, cost: CostSheet, drawn: Drawn) -> str:
    from assay.report.html import INTERACTIVE, Contents, page

    plots = [*drawn.plots, *([drawn.curves] if drawn.curves else []), *drawn.sheets]
    beside = None if drawn.interactive is None else INTERACTIVE
    return page(Contents(plan, trials, ranking, cost, plots, drawn.grids, beside))


def _write_pages(file: Path, page: str, drawn: Drawn) -> None:
    """Write the page, and the interactive one beside it, if there is one."""
    from assay.report.html import INTERACTIVE

    file.write_text(page, encoding="utf-8")
    if drawn.interactive is not None:
        file.with_name(INTERACTIVE).write_text(drawn.interactive, encoding="utf-8")


def costs_of_trials(
    plan: Plan, trials: Sequence[TrialOutcome], computed: Set[str], rates: Rates = NO_RATES
) -> CostSheet:
    results = {key: result for trial in trials for key, result in trial.results.items()}
    return cost_sheet(plan, results, computed, rates)


def cannot_write(where: Path, error: OSError) -> AssayError:
    """The error to raise if the report cannot be written."""
    if reason := no_room(error):
        return full(f"the disk of the report {where}", reason)
    return AssayError(
        f"cannot write the report to {where}: {error}; the results are stored, and `assay compare` prints their table"
    )


def earlier_failures(folder: Path) -> dict[str, StageFailed]:
    """Key → the failure of a stage by the report in the folder; empty without a readable report."""
    try:
        rows = ReportFile.read(folder).trials
    except UserError:
        return {}
    failures = [StageFailed(row.failure.stage, row.failure.key, row.failure.cause) for row in rows if row.failure]
    return {error.key: _with_full_cause(error, _log(folder / ERRORS, error)) for error in failures}


def earlier_logs(folder: Path, failures: Iterable[StageFailed]) -> dict[str, Path]:
    """Key → the file with its traceback, if a run left one in the folder."""
    logs = {error.key: _log(folder / ERRORS, error) for error in failures}
    return {key: log for key, log in logs.items() if log.is_file()}


def _log(folder: Path, error: StageFailed) -> Path:
    return folder / f"{error.stage}-{error.key[:12]}.log"


def _with_full_cause(error: StageFailed, log: Path) -> StageFailed:
    """The failure with the full traceback, if its log can be read."""
    try:
        return StageFailed(error.stage, error.key, log.read_text(encoding="utf-8", errors="replace").rstrip())
    except OSError:
        return error


def _write_logs(trials: Sequence[TrialOutcome], folder: Path, aside: Path) -> Mapping[str, Path]:
    """Write the tracebacks to `aside`. Returns key → the later file in `folder`."""
    logs = {}
    for error in {trial.error.key: trial.error for trial in trials if trial.error is not None}.values():
        logs[error.key] = _log(folder, error)
        aside.mkdir(exist_ok=True)
        _log(aside, error).write_text(error.cause + "\n", encoding="utf-8")
    return logs


def _outdated(folder: Path, aside: Path) -> list[Path]:
    """Pictures, logs and the interactive page of an earlier report in the folder that the new one does not have."""
    from assay.report.html import INTERACTIVE

    try:
        earlier = ReportFile.read(folder)
        names = [*earlier.pictures, *earlier.grids.values()]
    except UserError:
        names = []
    pictures = [folder / Path(name).name for name in names]
    old = [*pictures, folder / INTERACTIVE, *(folder / ERRORS).glob("*.log")]
    return [file for file in old if file.is_file() and not (aside / file.relative_to(folder)).exists()]
