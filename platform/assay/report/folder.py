"""A sweep's report as files: report.html, the tables, report.json, the pictures, and the logs of what failed."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from assay.costs.priced_metrics import NOT_PRICED, PricedMetrics
from assay.costs.savings import CostSheet, cost_sheet
from assay.errors import AssayError, StageFailed
from assay.planning import Plan
from assay.report.atomic_files import written_aside
from assay.report.tables.costs import cost_as_csv, cost_as_json
from assay.report.tables.formats import as_csv, as_json, as_markdown
from assay.results import Table, TrialOutcome, table
from assay.store.io_errors import full, no_room

if TYPE_CHECKING:
    from assay.report.drawing import Drawn

REPORT = "report.json"
PAGE = "report.html"
ERRORS = "errors"


@dataclass(frozen=True)
class Written:
    """What `write` left in the folder."""

    table: Table
    folder: Path
    pictures: tuple[Path, ...]
    """The overview first, then the curves and plots; the arms' own grids are beside them."""

    @property
    def page(self) -> Path:
        return self.folder / PAGE


def write(
    plan: Plan,
    trials: Sequence[TrialOutcome],
    folder: Path,
    computed: Set[str],
    by_ledger: PricedMetrics = NOT_PRICED,
) -> Written:
    """Write the whole report, replacing an earlier one. `computed`: the keys that the study's own runs computed.

    Whoever writes it at the same time replaces all of it or nothing: its files are of one writer. Raises OSError, and
    leaves an earlier report as it was.
    """
    with written_aside(folder, lambda aside: _of_earlier(folder, aside)) as aside:
        made = table(plan, trials, _write_logs(trials, folder / ERRORS, aside / ERRORS), by_ledger)
        drawn = _draw(plan, trials, made, aside)
        made, cost = replace(made, notes=(*made.notes, *drawn.lacking)), _cost(plan, trials, computed)
        (aside / "table.csv").write_text(as_csv(made), encoding="utf-8")
        (aside / "table.md").write_text(as_markdown(made), encoding="utf-8")
        (aside / "cost.csv").write_text(cost_as_csv([cost]), encoding="utf-8")
        summary = {
            **as_json(made),
            "cost": cost_as_json(cost),
            "file": plan.sweep.file,
            "profile": plan.sweep.profile,
            "sets": list(plan.sweep.sets),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "pictures": [picture.name for picture in drawn.pictures],
            "grids": {trial: grid.name for trial, grid in drawn.grids.items()},
        }
        (aside / REPORT).write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        (aside / PAGE).write_text(_page(plan, trials, made, cost, drawn), encoding="utf-8")
    return Written(made, folder, tuple(folder / picture.name for picture in drawn.pictures))


def write_page(
    plan: Plan,
    trials: Sequence[TrialOutcome],
    file: Path,
    computed: Set[str],
    logs: Mapping[str, Path],
    by_ledger: PricedMetrics = NOT_PRICED,
) -> Table:
    """The page alone. `logs` says where the tracebacks of failed stages are, by key."""
    made = table(plan, trials, logs, by_ledger)
    with tempfile.TemporaryDirectory() as folder:
        drawn = _draw(plan, trials, made, Path(folder))
        made = replace(made, notes=(*made.notes, *drawn.lacking))
        text = _page(plan, trials, made, _cost(plan, trials, computed), drawn)
    if file.exists() and not file.is_file():
        file.write_text(text, encoding="utf-8")  # a pipe or a device, which nothing can replace
        return made
    with written_aside(file.resolve().parent) as aside:
        (aside / file.resolve().name).write_text(text, encoding="utf-8")
    return made


def _draw(plan: Plan, trials: Sequence[TrialOutcome], made: Table, folder: Path) -> Drawn:
    from assay.report.drawing import draw

    return draw(plan, trials, made, folder)


def _page(plan: Plan, trials: Sequence[TrialOutcome], made: Table, cost: CostSheet, drawn: Drawn) -> str:
    from assay.report.html import Contents, page

    plots = [*drawn.plots, *([drawn.curves] if drawn.curves else []), *drawn.sheets]
    return page(Contents(plan, trials, made, cost, plots, drawn.grids))


def _cost(plan: Plan, trials: Sequence[TrialOutcome], computed: Set[str]) -> CostSheet:
    return cost_sheet(plan, {key: result for trial in trials for key, result in trial.results.items()}, computed)


def cannot_write(where: Path, error: OSError) -> AssayError:
    """In one line. The results are no part of the report."""
    if reason := no_room(error):
        return full(f"the disk of the report {where}", reason)
    return AssayError(
        f"cannot write the report to {where}: {error}; the results are stored, and `assay compare` prints their table"
    )


def earlier_failures(folder: Path) -> dict[str, StageFailed]:
    """Key → why the stage failed when the report in the folder was written; empty where there is none."""
    try:
        rows = json.loads((folder / REPORT).read_text(encoding="utf-8"))["trials"]
        told = [row["failure"] for row in rows if row["failure"] is not None]
        failures = [StageFailed(str(one["stage"]), str(one["key"]), str(one["cause"])) for one in told]
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # no report yet, one that was cut off, or something else of that name
    return {error.key: _with_whole_cause(error, _log(folder / ERRORS, error)) for error in failures}


def earlier_logs(folder: Path, failures: Iterable[StageFailed]) -> dict[str, Path]:
    """Key → the file with its traceback, where a run left one in the folder."""
    logs = {error.key: _log(folder / ERRORS, error) for error in failures}
    return {key: log for key, log in logs.items() if log.is_file()}


def _log(folder: Path, error: StageFailed) -> Path:
    return folder / f"{error.stage}-{error.key[:12]}.log"


def _with_whole_cause(error: StageFailed, log: Path) -> StageFailed:
    """As its log tells it, where that can be read."""
    try:
        return StageFailed(error.stage, error.key, log.read_text(encoding="utf-8", errors="replace").rstrip())
    except OSError:
        return error


def _write_logs(trials: Sequence[TrialOutcome], folder: Path, aside: Path) -> Mapping[str, Path]:
    """Key → the file in `folder` that will have its traceback, which is written aside."""
    logs = {}
    for error in {trial.error.key: trial.error for trial in trials if trial.error is not None}.values():
        logs[error.key] = _log(folder, error)
        aside.mkdir(exist_ok=True)
        _log(aside, error).write_text(error.cause + "\n", encoding="utf-8")
    return logs


def _of_earlier(folder: Path, aside: Path) -> list[Path]:
    """What an earlier report left in the folder and this one has not: its arms, or its failures, may be gone.

    Nothing else in the folder is touched.
    """
    try:
        earlier = json.loads((folder / REPORT).read_text(encoding="utf-8"))
        names = [str(name) for name in (*earlier["pictures"], *earlier["grids"].values())]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        names = []  # the first report here, one that was cut off, or something else of that name
    pictures = [folder / Path(name).name for name in names]
    old = [*pictures, *(folder / ERRORS).glob("*.log")]
    return [file for file in old if file.is_file() and not (aside / file.relative_to(folder)).exists()]
