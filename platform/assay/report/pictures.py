"""The other pictures that a workload commits beside its sample grid, of all trials on one sheet each."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from assay.planning import Plan
from assay.report.figures import literal
from assay.report.labels import name_parts
from assay.report.samples import title
from assay.report.table import Table, TrialResults
from assay.report.tiles import Tile, draw_tiles

MOST_TRIALS = 48
"""More would be too small to see on one sheet."""
ACROSS, MOST_COLUMNS = 2, 12
"""How many pictures stand in a row: wide ones, and columns."""
COLUMN_WIDTH, COLUMN_CHARACTERS = 136, 18


def draw_pictures(plan: Plan, trials: Sequence[TrialResults], table: Table, folder: Path) -> list[Path]:
    """A sheet for every picture that some trial has: trials in the order of the sweep, so that what varies does."""
    hints = plan.workload.report
    drawn = []
    for name, shows in hints.pictures.items():
        tiles = []
        is_column = name in hints.side_by_side
        for trial in trials:
            leaf = trial.planned.result(trial.results)
            row = next((row for row in table.rows if row.trial == trial.planned.name), None)
            if leaf is not None and row is not None and name in leaf.files:
                words = column_title(row.trial) if is_column else title(table, row)
                tiles.append(Tile(leaf.file(name), words))
        if tiles:
            some = f"the first {MOST_TRIALS} of {len(tiles)} trials: " if len(tiles) > MOST_TRIALS else ""
            heading, tiles = f"{table.sweep}: {some}{shows}", tiles[:MOST_TRIALS]
            across = columns_a_row(len(tiles)) if is_column else min(ACROSS, len(tiles))
            widths = {"least_width": COLUMN_WIDTH} if is_column else {}
            drawn.append(draw_tiles(heading, tiles, across, folder / name, **widths))
    return drawn


def columns_a_row(count: int) -> int:
    """Rows of the same length, as far as that goes: 14 columns stand in two rows of 7."""
    rows = -(-count // MOST_COLUMNS)
    return -(-count // rows)


def column_title(trial: str) -> str:
    """The name in as many lines as a narrow column needs."""
    lines = (line for part in name_parts(trial) for line in textwrap.wrap(part, COLUMN_CHARACTERS))
    return literal("\n".join(lines))
