"""Pictures of samples: each trial's own grid, and all arms side by side."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from assay.plan import Plan
from assay.report.table import Row, Table, TrialResults
from assay.report.words import decimals, metric

OVERVIEW = "samples.png"
MOST_ARMS = 12
MOST_ACROSS = 4
DPI = 100
GRID_INCHES = 4.0
TITLE_CHARACTERS = 38
LINE_INCHES = 0.21


def safe_name(trial: str) -> str:
    """A trial's name as a file name."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", trial).strip("-.")[:120] or "trial"


def copy_grids(plan: Plan, trials: Sequence[TrialResults], folder: Path) -> dict[str, Path]:
    """Trial → its sample grid, copied to `<safe name>.png`. Trials without one are left out."""
    wanted = plan.workload.report.sample_grid
    grids: dict[str, Path] = {}
    taken = {OVERVIEW, "curves.png"}
    for trial in trials:
        leaf = trial.results.get(trial.planned.leaf.key)
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
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.image import imread

    images = [imread(grids[row.trial]) for row in rows]
    titles = [_title(table, row) for row in rows]
    across = min(MOST_ACROSS, len(rows)) if len(rows) != 4 else 4
    down = -(-len(rows) // across)
    title_inches = LINE_INCHES * max(title.count("\n") + 1 for title in titles) + 0.1
    tallest = max(image.shape[0] / image.shape[1] for image in images)
    cell = GRID_INCHES + 0.2, GRID_INCHES * tallest + title_inches + 0.15
    head_inches = 0.5
    width, height = across * cell[0], down * cell[1] + head_inches
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    left_out = len(grids) - len(rows)
    heading = (
        f"{table.sweep}: samples of every arm"
        if not left_out
        else f"{table.sweep}: samples of the best {len(rows)} of {len(grids)} arms"
    )
    figure.text(0.12 / width, 1 - 0.33 / height, heading, fontsize=14, fontweight="bold", va="baseline")
    for index, (row, image, title) in enumerate(zip(rows, images, titles, strict=True)):
        left, top = (index % across) * cell[0] + 0.1, head_inches + (index // across) * cell[1] + title_inches
        image_height = GRID_INCHES * image.shape[0] / image.shape[1]
        axes: Any = figure.add_axes(
            (left / width, 1 - (top + image_height) / height, GRID_INCHES / width, image_height / height)
        )
        axes.imshow(
            image, cmap="gray", interpolation="nearest" if image.shape[1] <= GRID_INCHES * DPI else "antialiased"
        )
        axes.set_axis_off()
        best = row.rank == 1 and len(table.rows) > 1
        axes.set_title(title, fontsize=10, loc="left", color="tab:green" if best else "black", linespacing=1.3)
    path = folder / OVERVIEW
    figure.savefig(path)
    return path


def _title(table: Table, row: Row) -> str:
    name = textwrap.fill(row.trial, TITLE_CHARACTERS)
    if table.metric not in row.metrics:
        return name
    places = decimals(r.metrics[table.metric] for r in table.rows if table.metric in r.metrics)
    best = " (best)" if row.rank == 1 and len(table.rows) > 1 else ""
    return f"{name}\n{table.metric} {metric(row.metrics[table.metric], places)}{best}"
