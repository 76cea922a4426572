"""The kinds of plot for `report.plots` in a sweep: each one's facts, and the function that draws it.

A package adds one by an entry point of the group "assay.plots" that names its PlotKind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from assay.registry import Registry

AxisName = Literal["x", "y"]


@dataclass(frozen=True)
class PlotKind:
    draw: str
    """The import path "module:attribute" of a function that draws one panel: `draw(axes, panel)`, with matplotlib axes
    and an `assay.report.plots.panels.Panel`. The caller adds ticks, labels, grid, title and legend."""
    x: Literal["any", "names", "numbers"] = "any"
    """The x axis: "names" is categorical, "numbers" takes only numbers, "any" is numeric if all values are numbers."""
    log: tuple[AxisName, ...] = ("x", "y")
    """The axes that may be logarithmic."""
    turns: bool = False
    """With long or many names, x is the vertical axis, and `panel.axis.is_sideways` is true."""


PLOT_KINDS = Registry[PlotKind]("plot kind", "assay.plots")
PLOT_KINDS.register("bar", PlotKind("assay.report.plots.bars:draw_bars", x="names", log=("y",), turns=True))
PLOT_KINDS.register("line", PlotKind("assay.report.plots.lines:draw_lines"))
PLOT_KINDS.register("scatter", PlotKind("assay.report.plots.lines:draw_points"))
