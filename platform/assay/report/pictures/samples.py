"""Sample grids: each trial's own, and an overview of all arms."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from assay.planning import Plan
from assay.planning.labels import name_parts
from assay.report.figures import literal, shortened, wrapped
from assay.report.omissions import Omissions
from assay.report.pictures.tiles import DPI, LEAST_WIDTH, Tile, draw_tiles
from assay.results import Table, TrialOutcome
from assay.results.rows import Row
from assay.store import StoredResult
from assay.text import decimals, metric

OVERVIEW = "samples.png"
MOST_ARMS = 24
MOST_ACROSS = 4
TITLE_CHARACTERS = 40
NAME_CHARACTERS = 120
"""Three lines of a title at most."""


def safe_name(trial: str) -> str:
    """A trial's name as a file name."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", trial).strip("-.")[:120] or "trial"


def copy_grids(plan: Plan, trials: Sequence[TrialOutcome], folder: Path, omissions: Omissions) -> dict[str, Path]:
    """Trial → its sample grid, copied to `<safe name>.png`. Trials without a readable grid are left out."""
    grids: dict[str, Path] = {}
    used = {OVERVIEW, "curves.png", *plan.hints.pictures}
    for trial in trials:
        leaf, wanted = trial.planned.result(trial.results), trial.planned.workload.report.sample_grid
        if wanted is None or leaf is None or wanted not in leaf.file_bytes:
            continue
        name = f"{safe_name(trial.planned.name)}.png"
        if name in used:  # two trials' names may differ only in characters that file names cannot have
            name = f"{safe_name(trial.planned.name)}-{trial.planned.trial.index}.png"
        used.add(name)
        grid = omissions.picture(folder / name, partial(_copy, leaf, wanted, folder / name))
        if grid is not None:
            grids[trial.planned.name] = grid
    return grids


def _copy(leaf: StoredResult, name: str, to: Path) -> Path:
    shutil.copyfile(leaf.file(name), to)
    return to


def draw_overview(table: Table, grids: Mapping[str, Path], folder: Path) -> Path | None:
    """The grids of all arms side by side, best first, each titled with its name and metric."""
    rows = [row for row in table.rows if row.trial in grids][:MOST_ARMS]
    if not rows:
        return None
    arms = f"the best {len(rows)} of {len(grids)} arms" if len(rows) < len(grids) else "every arm"
    names = short_names(rows)
    tiles = [
        Tile(grids[row.trial], title(table, row, names), "tab:green" if _is_best(table, row) else "black")
        for row in rows
    ]
    across = min(MOST_ACROSS, len(rows))
    return draw_tiles(f"{table.sweep}: samples of {arms}", tiles, across, folder / OVERVIEW)


def _is_best(table: Table, row: Row) -> bool:
    return table.best in (row.trial, row.arm_name)


def short_names(rows: Sequence[Row]) -> dict[str, str]:
    """Trial → its name, shortened for titles."""
    return shortened((row.trial for row in rows), NAME_CHARACTERS)


def title(table: Table, row: Row, names: Mapping[str, str]) -> str:
    """The name, preferably broken between its parts, and the metric below."""
    lines = [""]
    for part in name_parts(names[row.trial]):
        joined = f"{lines[-1]}, {part}" if lines[-1] else part
        lines = [*lines[:-1], joined] if len(joined) <= TITLE_CHARACTERS else [*lines, part]
    lines = [short for line in lines for short in wrapped(line, TITLE_CHARACTERS, LEAST_WIDTH / DPI)]
    if table.metric in row.metrics:
        places = decimals(r.metrics[table.metric] for r in table.rows if table.metric in r.metrics)
        best = " (best)" if _is_best(table, row) else ""
        value = f"{table.metric} {metric(row.metrics[table.metric], places)}{best}"
        lines += wrapped(value, TITLE_CHARACTERS, LEAST_WIDTH / DPI)
    return literal("\n".join(lines))
