"""Other pictures that a workload commits besides its sample grid: one sheet each, with all trials."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from assay.planning import Plan
from assay.planning.labels import name_parts
from assay.report.figures import literal, wrapped
from assay.report.omissions import Omissions, readable
from assay.report.pictures.samples import short_names, title
from assay.report.pictures.tiles import DPI, Tile, draw_tiles
from assay.results import Table, TrialOutcome
from assay.results.rows import Row
from assay.store import StoredResult

MOST_TRIALS = 48
"""More would be too small on one sheet."""
ACROSS, MOST_COLUMNS = 2, 12
"""Most pictures per row: wide ones, and narrow columns."""
COLUMN_WIDTH, COLUMN_CHARACTERS = 136, 18


def draw_pictures(
    plan: Plan, trials: Sequence[TrialOutcome], table: Table, folder: Path, omissions: Omissions
) -> list[Path]:
    """A sheet for every picture that some trial has, with the trials in the order of the sweep."""
    rows = {row.trial: row for row in table.rows}
    names = short_names(table.rows)
    drawn = []
    for name, shows in plan.hints.pictures.items():
        shown = [(row, leaf) for row, leaf in _results(trials, rows) if name in leaf.file_bytes]
        is_column = name in plan.hints.side_by_side
        some = f"the first {MOST_TRIALS} of {len(shown)} trials: " if len(shown) > MOST_TRIALS else ""
        tiles = []
        for row, leaf in shown[:MOST_TRIALS]:
            # An unreadable picture must not prevent the sheet.
            picture = omissions.attempt(f"{name} of {names[row.trial]}", partial(_picture, leaf, name))
            if picture is not None:
                words = column_title(names[row.trial]) if is_column else title(table, row, names)
                tiles.append(Tile(picture, words))
        if tiles:
            across = columns_a_row(len(tiles)) if is_column else min(ACROSS, len(tiles))
            widths = {"least_width": COLUMN_WIDTH} if is_column else {}
            sheet = partial(draw_tiles, f"{table.sweep}: {some}{shows}", tiles, across, folder / name, **widths)
            drawn.append(omissions.picture(folder / name, sheet))
    return [sheet for sheet in drawn if sheet is not None]


def _results(trials: Sequence[TrialOutcome], rows: Mapping[str, Row]) -> Iterator[tuple[Row, StoredResult]]:
    for trial in trials:
        leaf = trial.planned.result(trial.results)
        if leaf is not None and trial.planned.name in rows:
            yield rows[trial.planned.name], leaf


def _picture(leaf: StoredResult, name: str) -> Path:
    return readable(leaf.file(name))


def columns_a_row(count: int) -> int:
    """Columns per row, for rows of about the same length: 14 columns go into two rows of 7."""
    rows = -(-count // MOST_COLUMNS)
    return -(-count // rows)


def column_title(trial: str) -> str:
    """The name, broken into lines for a narrow column."""
    lines = (line for part in name_parts(trial) for line in wrapped(part, COLUMN_CHARACTERS, COLUMN_WIDTH / DPI))
    return literal("\n".join(lines))
