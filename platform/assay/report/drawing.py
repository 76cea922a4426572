"""Draw all pictures of a report, and its interactive page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from assay.planning import Plan
from assay.report.html.interactive import INTERACTIVE, interactive
from assay.report.omissions import Omissions
from assay.report.pictures.committed import draw_pictures
from assay.report.pictures.samples import OVERVIEW, copy_grids, draw_overview
from assay.report.plots.curves import CURVES, draw_curves
from assay.report.plots.requested import draw_plots
from assay.results import Table, TrialOutcome


@dataclass(frozen=True)
class Drawn:
    """A report's pictures, each trial's sample grid, its interactive page, and notes about what is omitted."""

    overview: Path | None
    curves: Path | None
    sheets: Sequence[Path]
    plots: Sequence[Path]
    grids: Mapping[str, Path]
    interactive: str | None
    """The interactive page."""
    omissions: Sequence[str]

    @property
    def pictures(self) -> tuple[Path, ...]:
        drawn = [self.overview, self.curves, *self.sheets, *self.plots]
        return tuple(picture for picture in drawn if picture is not None)


def draw(plan: Plan, trials: Sequence[TrialOutcome], table: Table, folder: Path) -> Drawn:
    omissions = Omissions()
    plots = draw_plots(plan, trials, table, folder, omissions)
    grids = copy_grids(plan, trials, folder, omissions)
    overview = omissions.picture(folder / OVERVIEW, lambda: draw_overview(table, grids, folder))
    curves = omissions.picture(folder / CURVES, lambda: draw_curves(plan, trials, folder))
    sheets = draw_pictures(plan, trials, table, folder, omissions)
    page = omissions.attempt(INTERACTIVE, lambda: interactive(plan, trials, table))
    return Drawn(overview, curves, sheets, plots, grids, page, omissions.notes)
