"""A sweep's report as files: report.html, the tables, report.json, the pictures, and the logs of what failed."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from assay.errors import StageFailed
from assay.planning import Plan
from assay.report.cost import CostSheet, cost_sheet
from assay.report.cost_formats import cost_as_csv, cost_as_json
from assay.report.formats import as_csv, as_json, as_markdown
from assay.report.priced import NOT_PRICED, Priced
from assay.report.table import Table, TrialResults, table

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
    trials: Sequence[TrialResults],
    folder: Path,
    computed: Set[str],
    by_ledger: Priced = NOT_PRICED,
) -> Written:
    """Write the whole report, replacing an earlier one. `computed`: the keys that the study's own runs computed."""
    folder.mkdir(parents=True, exist_ok=True)
    made = table(plan, trials, _write_logs(trials, folder / ERRORS), by_ledger)
    _remove_earlier_pictures(folder)
    drawn = _draw(plan, trials, made, folder)
    made, cost = replace(made, notes=(*made.notes, *drawn.lacking)), _cost(plan, trials, computed)
    (folder / "table.csv").write_text(as_csv(made), encoding="utf-8")
    (folder / "table.md").write_text(as_markdown(made), encoding="utf-8")
    (folder / "cost.csv").write_text(cost_as_csv([cost]), encoding="utf-8")
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
    (folder / REPORT).write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / PAGE).write_text(_page(plan, trials, made, cost, drawn), encoding="utf-8")
    return Written(made, folder, drawn.pictures)


def write_page(
    plan: Plan,
    trials: Sequence[TrialResults],
    file: Path,
    computed: Set[str],
    logs: Mapping[str, Path],
    by_ledger: Priced = NOT_PRICED,
) -> Table:
    """The page alone. `logs` says where the tracebacks of failed stages are, by key."""
    made = table(plan, trials, logs, by_ledger)
    with tempfile.TemporaryDirectory() as folder:
        drawn = _draw(plan, trials, made, Path(folder))
        made = replace(made, notes=(*made.notes, *drawn.lacking))
        text = _page(plan, trials, made, _cost(plan, trials, computed), drawn)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return made


def _draw(plan: Plan, trials: Sequence[TrialResults], made: Table, folder: Path) -> Drawn:
    from assay.report.drawing import draw

    return draw(plan, trials, made, folder)


def _page(plan: Plan, trials: Sequence[TrialResults], made: Table, cost: CostSheet, drawn: Drawn) -> str:
    from assay.report.html import Contents, page

    plots = [*drawn.plots, *([drawn.curves] if drawn.curves else []), *drawn.sheets]
    return page(Contents(plan, trials, made, cost, plots, drawn.grids))


def _cost(plan: Plan, trials: Sequence[TrialResults], computed: Set[str]) -> CostSheet:
    return cost_sheet(plan, {key: result for trial in trials for key, result in trial.results.items()}, computed)


def earlier_failures(folder: Path) -> dict[str, StageFailed]:
    """Key → why the stage failed when the report in the folder was written; empty where there is none."""
    try:
        rows = json.loads((folder / REPORT).read_text(encoding="utf-8"))["trials"]
        told = [row["failure"] for row in rows if row["failure"] is not None]
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # no report yet, one that was cut off, or something else of that name
    return {one["key"]: StageFailed(one["stage"], one["key"], _whole_cause(one)) for one in told}


def earlier_logs(folder: Path, failures: Iterable[StageFailed]) -> dict[str, Path]:
    """Key → the file with its traceback, where a run left one in the folder."""
    logs = {error.key: _log(folder / ERRORS, error) for error in failures}
    return {key: log for key, log in logs.items() if log.is_file()}


def _log(folder: Path, error: StageFailed) -> Path:
    return folder / f"{error.stage}-{error.key[:12]}.log"


def _whole_cause(failure: Mapping[str, str | None]) -> str:
    log = Path(failure["log"] or "")
    return log.read_text(encoding="utf-8").rstrip() if log.is_file() else str(failure["cause"])


def _write_logs(trials: Sequence[TrialResults], folder: Path) -> Mapping[str, Path]:
    """Key → the file with its traceback. Logs of earlier runs go: they would be taken for this one's."""
    for old in folder.glob("*.log"):
        old.unlink()
    logs = {}
    for error in {trial.error.key: trial.error for trial in trials if trial.error is not None}.values():
        folder.mkdir(parents=True, exist_ok=True)
        logs[error.key] = _log(folder, error)
        logs[error.key].write_text(error.cause + "\n", encoding="utf-8")
    return logs


def _remove_earlier_pictures(folder: Path) -> None:
    """What an earlier report drew: its arms may be gone. Nothing else in the folder is touched."""
    try:
        earlier = json.loads((folder / REPORT).read_text(encoding="utf-8"))
        names = [*earlier["pictures"], *earlier["grids"].values()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return  # the first report here, one that was cut off, or something else of that name
    for name in names:
        (folder / Path(name).name).unlink(missing_ok=True)
