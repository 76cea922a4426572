"""Pictures of samples: each trial's own grid, and all arms side by side."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from assay.planning import Plan
from assay.report.figures import literal, new_figure, save
from assay.report.labels import name_parts
from assay.report.rows import Row
from assay.report.table import Table, TrialResults
from assay.report.words import decimals, metric

OVERVIEW = "samples.png"
MOST_ARMS = 12
MOST_ACROSS = 4
DPI = 100
GRID_PIXELS = 340
"""How wide a grid is shown at least, and the room a title has."""
GAP = 16
HEAD_PIXELS = 44
HEAD_CHARACTER_PIXELS = 13
LINE_PIXELS = 20
TITLE_CHARACTERS = 40


def safe_name(trial: str) -> str:
    """A trial's name as a file name."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", trial).strip("-.")[:120] or "trial"


def copy_grids(plan: Plan, trials: Sequence[TrialResults], folder: Path) -> dict[str, Path]:
    """Trial → its sample grid, copied to `<safe name>.png`. Trials without one are left out."""
    wanted = plan.workload.report.sample_grid
    grids: dict[str, Path] = {}
    taken = {OVERVIEW, "curves.png"}
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
    from matplotlib.image import imread

    images = [imread(grids[row.trial]) for row in rows]
    titles = [_title(table, row) for row in rows]
    shapes = [_shown_shape(*image.shape[:2]) for image in images]
    # Everything is laid out in whole pixels: a pixel of a small image is then a square of pixels, and all are alike.
    cell_width = max(GRID_PIXELS, *(width for _, width in shapes)) + GAP
    title_height = LINE_PIXELS * max(title.count("\n") + 1 for title in titles) + GAP // 2
    cell_height = max(height for height, _ in shapes) + title_height + GAP
    arms = f"the best {len(rows)} of {len(grids)} arms" if len(rows) < len(grids) else "every arm"
    heading = f"{table.sweep}: samples of {arms}"
    across = min(MOST_ACROSS, len(rows))
    width = max(across * cell_width + GAP, len(heading) * HEAD_CHARACTER_PIXELS)
    height = -(-len(rows) // across) * cell_height + HEAD_PIXELS
    figure = new_figure(width / DPI, height / DPI, DPI)
    figure.text(GAP / width, 1 - 30 / height, heading, fontsize=14, fontweight="bold", va="baseline")
    for index, (row, image, title, (tall, wide)) in enumerate(zip(rows, images, titles, shapes, strict=True)):
        left = GAP + index % across * cell_width
        bottom = height - HEAD_PIXELS - index // across * cell_height - title_height - tall
        axes: Any = figure.add_axes((left / width, bottom / height, wide / width, tall / height))
        is_enlarged = wide >= image.shape[1]
        axes.imshow(image, cmap="gray", aspect="auto", interpolation="nearest" if is_enlarged else "antialiased")
        axes.set_axis_off()
        color = "tab:green" if _is_best(table, row) else "black"
        axes.set_title(title, fontsize=10, loc="left", color=color, linespacing=1.3)
    return save(figure, folder / OVERVIEW)


def _shown_shape(height: int, width: int) -> tuple[int, int]:
    """Small grids by whole factors, large ones shrunk to what a screen shows side by side."""
    if width > 2 * GRID_PIXELS:
        return round(height * 2 * GRID_PIXELS / width), 2 * GRID_PIXELS
    factor = max(1, GRID_PIXELS // width)
    return height * factor, width * factor


def _is_best(table: Table, row: Row) -> bool:
    return table.best in (row.trial, row.arm_name)


def _title(table: Table, row: Row) -> str:
    """The name, broken between its parts where it can be, and the metric below."""
    lines = [""]
    for part in name_parts(row.trial):
        joined = f"{lines[-1]}, {part}" if lines[-1] else part
        lines = [*lines[:-1], joined] if len(joined) <= TITLE_CHARACTERS else [*lines, part]
    lines = [short for line in lines for short in textwrap.wrap(line, TITLE_CHARACTERS)]
    if table.metric in row.metrics:
        places = decimals(r.metrics[table.metric] for r in table.rows if table.metric in r.metrics)
        best = " (best)" if _is_best(table, row) else ""
        lines.append(f"{table.metric} {metric(row.metrics[table.metric], places)}{best}")
    return literal("\n".join(lines))
