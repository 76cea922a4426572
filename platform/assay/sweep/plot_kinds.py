"""The kinds of plot that a sweep may ask for under `report.plots`: each one's facts, and the function that draws it.

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
    """The function that draws into one panel, as "module:attribute": `draw(axes, panel)`, with matplotlib's axes and
    an `assay.report.plots.panels.Panel`. Ticks, labels, grid, title and legend are there already."""
    x: Literal["any", "names", "numbers"] = "any"
    """What stands along x: "any" has numbers at themselves and other values by name, "names" has every value by name,
    "numbers" takes nothing else."""
    log: tuple[AxisName, ...] = ("x", "y")
    """The axes that may be logarithmic."""
    turns: bool = False
    """Where names are long or many they stand along the vertical axis, and `panel.axis.is_sideways` says so."""


PLOT_KINDS = Registry[PlotKind]("plot kind", "assay.plots")
PLOT_KINDS.register("bar", PlotKind("assay.report.plots.bars:draw_bars", x="names", log=("y",), turns=True))
PLOT_KINDS.register("line", PlotKind("assay.report.plots.lines:draw_lines"))
PLOT_KINDS.register("scatter", PlotKind("assay.report.plots.lines:draw_points"))
