"""Pictures of samples: each trial's own grid, and all arms side by side."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

from assay.planning import Plan
from assay.report.figures import literal
from assay.report.labels import name_parts
from assay.report.rows import Row
from assay.report.table import Table, TrialResults
from assay.report.tiles import Tile, draw_tiles
from assay.report.words import decimals, metric

OVERVIEW = "samples.png"
MOST_ARMS = 24
MOST_ACROSS = 4
TITLE_CHARACTERS = 40


def safe_name(trial: str) -> str:
    """A trial's name as a file name."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", trial).strip("-.")[:120] or "trial"


def copy_grids(plan: Plan, trials: Sequence[TrialResults], folder: Path) -> dict[str, Path]:
    """Trial → its sample grid, copied to `<safe name>.png`. Trials without one are left out."""
    wanted = plan.workload.report.sample_grid
    grids: dict[str, Path] = {}
    taken = {OVERVIEW, "curves.png", *plan.workload.report.pictures}
    for trial in trials:
        leaf = trial.planned.result(trial.results)
        if wanted is None or leaf is None or wanted not in leaf.files:
            continue
        name = f"{safe_name(trial.planned.name)}.png"
        if name in taken:  # two names that differ only in characters a file name cannot have
            name = f"{safe_name(trial.planned.name)}-{trial.planned.trial.index}.png"
        taken.add(name)
        grids[trial.planned.name] = folder / name
        shutil.copyfile(leaf.file(wanted), folder / name)
    return grids


def draw_overview(table: Table, grids: Mapping[str, Path], folder: Path) -> Path | None:
    """Every arm's grid beside the others, best first, each titled with its name and its metric."""
    rows = [row for row in table.rows if row.trial in grids][:MOST_ARMS]
    if not rows:
        return None
    arms = f"the best {len(rows)} of {len(grids)} arms" if len(rows) < len(grids) else "every arm"
    tiles = [
        Tile(grids[row.trial], title(table, row), "tab:green" if _is_best(table, row) else "black") for row in rows
    ]
    across = min(MOST_ACROSS, len(rows))
    return draw_tiles(f"{table.sweep}: samples of {arms}", tiles, across, folder / OVERVIEW)


def _is_best(table: Table, row: Row) -> bool:
    return table.best in (row.trial, row.arm_name)


def title(table: Table, row: Row) -> str:
    """The name, broken between its parts where it can be, and the metric below."""
    lines = [""]
    for part in name_parts(row.trial):
        joined = f"{lines[-1]}, {part}" if lines[-1] else part
        lines = [*lines[:-1], joined] if len(joined) <= TITLE_CHARACTERS else [*lines, part]
    lines = [short for line in lines for short in textwrap.wrap(line, TITLE_CHARACTERS)]
    if table.metric in row.metrics:
        places = decimals(r.metrics[table.metric] for r in table.rows if table.metric in r.metrics)
        best = " (best)" if _is_best(table, row) else ""
        lines += textwrap.wrap(f"{table.metric} {metric(row.metrics[table.metric], places)}{best}", TITLE_CHARACTERS)
    return literal("\n".join(lines))
