"""The kinds of plot for `report.plots` in a sweep: each one's facts, and the function that draws it.

A package adds one by an entry point of the group "assay.plots" that names its PlotKind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from assay.registry import Registry
from assay.text import with_article

AxisName = Literal["x", "y"]
Key = Literal["x", "y", "z"]
Takes = Literal["any", "names", "numbers", "objective", "setting", "settings", "metric", "metrics"]
"""What a key of a plot takes. "names", "numbers", "any" and "objective" are one x of series: "names" is categorical,
"numbers" takes only numbers, "any" is numeric if all values are numbers. With "objective", the metric is one too."""
KEYS: tuple[Key, ...] = ("x", "y", "z")
LISTS: tuple[Takes, ...] = ("settings", "metrics")
"""May be a list of names."""
SETTINGS: tuple[Takes, ...] = ("setting", "settings")
METRICS: tuple[Takes, ...] = ("metric", "metrics")
_PLACE = "a config path, arm, the scheduler's budget, a metric or a cost"
_IN_WORDS: Mapping[Takes, str] = {
    "any": _PLACE,
    "names": _PLACE,
    "numbers": f"{_PLACE}, all numbers",
    "objective": "an objective",
    "setting": "a config path, or arm",
    "settings": "a config path, arm, or a list of them",
    "metric": "a metric",
    "metrics": "a metric, or a list of them",
}


@dataclass(frozen=True)
class PlotKind:
    draw: str
    """The import path "module:attribute" of the function that draws it.

    Of "series": `draw(axes, panel)` draws one metric's panel, with matplotlib axes and an
    `assay.report.plots.panels.Panel`; the caller adds ticks, labels, grid, title and legend. Of "trials":
    `draw(figure, picture)` draws the whole picture but its title, with a matplotlib figure and an
    `assay.report.plots.trials.Picture`; it raises `NotDrawn` with the reason where these trials give no picture."""
    x: Takes | None = "any"
    """None: it takes no x."""
    y: Takes | None = "metrics"
    z: Takes | None = None
    optional: tuple[Key, ...] = ()
    """The keys that may be left out: a metric is the sweep's then, an objective the next one, and settings are all in
    which the trials differ."""
    log: tuple[AxisName, ...] = ("x", "y")
    """The axes that may be logarithmic."""
    turns: bool = False
    """With long or many names, x is the vertical axis, and `panel.axis.is_sideways` is true."""
    of: Literal["series", "trials"] = "series"
    """What it draws: lines of points, also of trials that are not ranked, or the ranked trials, each with its settings
    and metrics."""
    title: str = "{metrics} by {x}"
    """The picture's title after the sweep's name."""

    def takes(self, key: Key) -> Takes | None:
        return {"x": self.x, "y": self.y, "z": self.z}[key]

    def problem(self, kind: str, key: Key, value: str | tuple[str, ...] | None) -> str | None:
        """What is wrong with the value of a key in a plot of this kind."""
        takes = self.takes(key)
        if value is None:
            is_needed = takes is not None and key not in self.optional
            return f"required, but missing; {self.in_words(kind)}" if is_needed else None
        if takes is None:
            return f"{with_article(kind)} plot has no {key}; {self.in_words(kind)}"
        if not isinstance(value, str) and takes not in LISTS:
            of = f"{key} of {with_article(kind)} plot"
            return f"got a list, but {of} is {_IN_WORDS[takes]}; list several plots instead"
        return None

    def in_words(self, kind: str) -> str:
        """What it takes."""
        return f"{with_article(kind)} plot takes {', '.join(self._keys())}"

    def _keys(self) -> Iterator[str]:
        for key in KEYS:
            takes = self.takes(key)
            if takes is not None:
                left_out = f"; without it, {_left_out(takes)}" if key in self.optional else ""
                yield f"{key} ({_IN_WORDS[takes]}{left_out})"


def _left_out(takes: Takes) -> str:
    if takes == "objective":
        return "the next one"
    return "the sweep's metric" if takes in METRICS else "all in which the trials differ"


PLOT_KINDS = Registry[PlotKind]("plot kind", "assay.plots")
PLOT_KINDS.register("bar", PlotKind("assay.report.plots.bars:draw_bars", x="names", log=("y",), turns=True))
PLOT_KINDS.register("line", PlotKind("assay.report.plots.lines:draw_lines"))
PLOT_KINDS.register("scatter", PlotKind("assay.report.plots.lines:draw_points"))
PLOT_KINDS.register(
    "pareto",
    PlotKind("assay.report.plots.pareto:draw_pareto", x="objective", y="metric", optional=("x", "y")),
)
PLOT_KINDS.register(
    "importance",
    PlotKind(
        "assay.report.plots.importance:draw_importance",
        x=None,
        optional=("y",),
        log=(),
        of="trials",
        title="importance of settings for {metrics}",
    ),
)
PLOT_KINDS.register(
    "slice",
    PlotKind("assay.report.plots.slices:draw_slices", x="settings", optional=("x", "y"), of="trials"),
)
PLOT_KINDS.register(
    "contour",
    PlotKind(
        "assay.report.plots.contour:draw_contour",
        x="setting",
        y="setting",
        z="metrics",
        optional=("z",),
        of="trials",
        title="{metrics} by {x} and {y}",
    ),
)
PLOT_KINDS.register(
    "parallel",
    PlotKind(
        "assay.report.plots.parallel:draw_parallel",
        x="settings",
        optional=("x", "y"),
        of="trials",
        title="{metrics} by {x}, a line per trial",
    ),
)
