"""One panel of a plot: the input of its kind's drawing function, and the frame that all kinds share."""

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
"""The crowd's label in the legend, followed by the number of its lines."""
FADED = 0.35
PAPERS, LEDGERS = "paper's", "ledger's"
OVER_SEEDS, OF_SAMPLES = "± sd over seeds", "± 95%"


@dataclass(frozen=True)
class Panel:
    """The input of a kind's drawing function. `axis.at(point.x)` is a point's position along x."""

    axis: Axis
    series: Sequence[Series]
    crowd: Sequence[Series]
    """Series of trials that are not among the best, if there are too many for colours; empty if x has names."""
    signs: tuple[int, int] = (1, 1)
    """Times x, and times y: smaller is better, if they are objectives of the sweep."""

    @property
    def crowd_label(self) -> str:
        """The crowd's common label in the legend."""
        return f"{THE_OTHERS}{len(self.crowd)}"

    def label(self, series: Series) -> str | None:
        """The label of a series in the legend; None if it needs none."""
        return literal(series.label) or ("ours" if series.paper or series.ledger else None)


def draw_panel(axes: Any, axis: Axis, plot: Plot, y: str, series: Sequence[Series], table: Table) -> None:
    has_places = plot.facts.x == "names"
    front = list(series) if has_places else _in_front(series, table)
    signs = {objective.name: objective.sign for objective in table.objectives}
    crowd = [one for one in series if one not in front]
    load_attribute(plot.facts.draw)(axes, Panel(axis, front, crowd, (signs.get(plot.along, 1), signs.get(y, 1))))
    set_ticks(axes, axis, plot)
    name, value = ("x", "y") if not axis.is_sideways else ("y", "x")
    better = {o.name: f" ({o.mode})" for o in table.objectives} if plot.facts.x == "objective" else {}
    getattr(axes, f"set_{name}label")("" if plot.along == ARM else literal(axis.name + better.get(plot.along, "")))
    getattr(axes, f"set_{value}label")(literal(y + better.get(y, "")))
    axes.grid(visible=True, axis=value if has_places else "both", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    if said := error_bars_are([point for one in front for point in one.points]):
        axes.set_title(said, loc="right", fontsize=8, color=DIM)


def error_bars_are(points: Sequence[Point]) -> str:
    """What the error bars show; empty if there are none. Points of a single seed show sampling noise."""
    kinds = {OVER_SEEDS if point.seeds > 1 else OF_SAMPLES for point in points if point.error}
    return f"{OVER_SEEDS}; of one seed {OF_SAMPLES}" if len(kinds) > 1 else "".join(kinds)


def _in_front(series: Sequence[Series], table: Table) -> list[Series]:
    """All lines, or if there are too many, those of the best trials."""
    if len(series) <= MOST_LINES:
        return list(series)
    place = {row.trial: number for number, row in enumerate(table.rows)}
    best = sorted(series, key=lambda one: min(place[trial] for trial in one.trials))[:MOST_LINES]
    return [one for one in series if one in best]
