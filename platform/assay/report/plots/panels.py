"""One panel of a plot: what its kind is given to draw, and the frame around it, the same for every kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from assay.report.figures import COLORS, literal
from assay.report.plots.axes import Axis, set_ticks
from assay.report.plots.series import Point, Series
from assay.results.table import Table
from assay.sweep import Plot
from assay.sweep.search import ARM
from assay.workload import load_attribute

MOST_LINES = len(COLORS)
"""With more lines, those of the best trials have a colour and a name; the others are a grey crowd behind them."""
DIM = "#5B6570"
THE_OTHERS = "the other "
"""How the crowd is named; what follows is how many trials are in it."""
FADED = 0.35
PAPERS, LEDGERS = "paper's", "ledger's"
OVER_SEEDS, OF_SAMPLES = "± sd over seeds", "± 95%"


@dataclass(frozen=True)
class Panel:
    """What a kind of plot draws: `axis.at(point.x)` is where a point stands along x."""

    axis: Axis
    series: Sequence[Series]
    crowd: Sequence[Series]
    """Series that are too many to be told apart: of trials that are not among the best. None where x has names."""

    @property
    def crowd_label(self) -> str:
        """The one name of all of them in the legend."""
        return f"{THE_OTHERS}{len(self.crowd)}"

    def label(self, series: Series) -> str | None:
        """The name of a series in the legend; None where there is nothing to tell it from."""
        return literal(series.label) or ("ours" if series.paper or series.ledger else None)


def draw_panel(axes: Any, axis: Axis, plot: Plot, y: str, series: Sequence[Series], made: Table) -> None:
    has_places = plot.facts.x == "names"
    front = list(series) if has_places else _in_front(series, made)
    load_attribute(plot.facts.draw)(axes, Panel(axis, front, [one for one in series if one not in front]))
    set_ticks(axes, axis, plot)
    name, value = ("x", "y") if not axis.is_sideways else ("y", "x")
    getattr(axes, f"set_{name}label")("" if plot.x == ARM else literal(axis.name))
    getattr(axes, f"set_{value}label")(literal(y))
    axes.grid(visible=True, axis=value if has_places else "both", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    if said := error_bars_are([point for one in front for point in one.points]):
        axes.set_title(said, loc="right", fontsize=8, color=DIM)


def error_bars_are(points: Sequence[Point]) -> str:
    """Empty where there are none. A point of one seed has no spread, but may have the noise of its samples."""
    kinds = {OVER_SEEDS if point.seeds > 1 else OF_SAMPLES for point in points if point.error}
    return f"{OVER_SEEDS}; of one seed {OF_SAMPLES}" if len(kinds) > 1 else "".join(kinds)


def _in_front(series: Sequence[Series], made: Table) -> list[Series]:
    """The lines that the best trials are on, where there are many."""
    if len(series) <= MOST_LINES:
        return list(series)
    place = {row.trial: number for number, row in enumerate(made.rows)}
    best = sorted(series, key=lambda one: min(place[trial] for trial in one.trials))[:MOST_LINES]
    return [one for one in series if one in best]
