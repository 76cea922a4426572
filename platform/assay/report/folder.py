"""A sweep's report as files: table.csv, table.md, report.json, the pictures, and the logs of what failed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from assay.planning import Plan
from assay.report.formats import as_csv, as_json, as_markdown
from assay.report.table import Table, TrialResults, table

REPORT = "report.json"


@dataclass(frozen=True)
class Written:
    """What `write` left in the folder."""

    table: Table
    folder: Path
    pictures: tuple[Path, ...]
    """The overview first, then the curves and plots; the arms' own grids are beside them."""


def write(plan: Plan, trials: Sequence[TrialResults], folder: Path) -> Written:
    """Write the whole report, replacing an earlier one."""
    folder.mkdir(parents=True, exist_ok=True)
    made = table(plan, trials, _write_logs(trials, folder / "errors"))
    _remove_earlier_pictures(folder)
    pictures, grids, lacking = _draw(plan, trials, made, folder)
    made = replace(made, notes=(*made.notes, *lacking))
    (folder / "table.csv").write_text(as_csv(made))
    (folder / "table.md").write_text(as_markdown(made))
    summary = {
        **as_json(made),
        "file": plan.sweep.file,
        "profile": plan.sweep.profile,
        "sets": list(plan.sweep.sets),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "pictures": [picture.name for picture in pictures],
        "grids": {trial: grid.name for trial, grid in grids.items()},
    }
    (folder / REPORT).write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n")
    return Written(made, folder, tuple(pictures))


def _write_logs(trials: Sequence[TrialResults], folder: Path) -> Mapping[str, Path]:
    """Key → the file with its traceback. Logs of earlier runs go: they would be taken for this one's."""
    for old in folder.glob("*.log"):
        old.unlink()
    logs = {}
    for error in {trial.error.key: trial.error for trial in trials if trial.error is not None}.values():
        folder.mkdir(parents=True, exist_ok=True)
        logs[error.key] = folder / f"{error.stage}-{error.key[:12]}.log"
        logs[error.key].write_text(error.cause + "\n")
    return logs


def _remove_earlier_pictures(folder: Path) -> None:
    """What an earlier report drew: its arms may be gone. Nothing else in the folder is touched."""
    try:
        earlier = json.loads((folder / REPORT).read_text())
        names = [*earlier["pictures"], *earlier["grids"].values()]
    except (OSError, ValueError, KeyError):
        return  # the first report here, or one that was cut off
    for name in names:
        (folder / Path(name).name).unlink(missing_ok=True)


def _draw(
    plan: Plan, trials: Sequence[TrialResults], made: Table, folder: Path
) -> tuple[list[Path], Mapping[str, Path], list[str]]:
    """The pictures that compare, each trial's own grid, and what could not be plotted."""
    from assay.report.curves import draw_curves
    from assay.report.pictures import draw_pictures
    from assay.report.plots import draw_plots
    from assay.report.samples import copy_grids, draw_overview

    grids = copy_grids(plan, trials, folder)
    plots, lacking = draw_plots(plan, trials, made, folder)
    drawn = [draw_overview(made, grids, folder), draw_curves(plan, trials, folder)]
    drawn += draw_pictures(plan, trials, made, folder)
    return [picture for picture in drawn if picture is not None] + plots, grids, lacking
