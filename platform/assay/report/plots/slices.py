"""Slices: a metric against one setting a panel, a point per trial."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from assay.report.figures import COLORS, MARKERS, literal, shortened
from assay.report.plots.axes import log_scale, show_numbers
from assay.report.plots.trials import Picture, Setting

PANEL = (4.4, 3.6)
"""Inches."""
MOST_ACROSS = 3
MOST_NAME = 24
"""Characters of a name below an axis."""
SLANTED_FROM = 5
"""With more or longer names below an axis, they are slanted."""
GREY = "#5B6570"


def draw_slices(figure: Any, picture: Picture) -> None:
    settings = picture.settings("x")
    across = min(MOST_ACROSS, len(settings))
    down = -(-len(settings) // across)
    figure.set_size_inches(PANEL[0] * max(across, 1.5), PANEL[1] * down * len(picture.metrics) + 0.5)
    grid = figure.subplots(down * len(picture.metrics), across, squeeze=False)
    for number, metric in enumerate(picture.metrics):
        panels = grid[number * down : (number + 1) * down].flatten()
        for place, (axes, setting) in enumerate(zip(panels, settings, strict=False)):
            _draw(axes, picture, setting, metric)
            axes.set_ylabel(literal(metric) if place % across == 0 else "")
        for axes in panels[len(settings) :]:
            axes.set_axis_off()
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=4, fontsize=9)


def _draw(axes: Any, picture: Picture, setting: Setting, metric: str) -> None:
    places, values = setting.places, picture.trials.metrics[metric]
    for number, (label, members) in enumerate(_by_arm(picture, setting).items()):
        style = {"color": COLORS[number], "marker": MARKERS[number], "linestyle": "none", "alpha": 0.75, "label": label}
        axes.plot([places[i] for i in members], [values[i] for i in members], **style)
    ring = {"marker": "o", "markersize": 14, "markerfacecolor": "none", "color": "black", "linestyle": "none"}
    axes.plot(places[:1], values[:1], label="best", **ring)  # the trials are in order
    if setting.is_numeric:
        show_numbers(axes, "x", setting.places)
        if picture.is_log(setting, "x"):
            log_scale(axes, "x", setting.ticks)
    else:
        show_names(axes, setting)
    if "y" in picture.plot.log:
        log_scale(axes, "y", ())
    axes.set_xlabel(literal(setting.name))
    axes.grid(visible=True, alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)


def _by_arm(picture: Picture, setting: Setting) -> dict[str, Sequence[int]]:
    """Arm → the numbers of its trials; all trials together if there are too many arms, or the axis has them."""
    every = range(len(picture.trials.names))
    arms = list(dict.fromkeys(picture.trials.arms))
    if setting.values == picture.trials.arms or not 2 <= len(arms) < len(every) or len(arms) > len(COLORS):
        return {"trials": every}
    short = shortened(arms)
    return {literal(short[arm]): [i for i in every if picture.trials.arms[i] == arm] for arm in arms}


def show_names(axes: Any, setting: Setting, name: str = "x") -> None:
    """The names of a setting's levels as the ticks of an axis."""
    short = shortened(setting.names, MOST_NAME)
    labels = [literal(short[label]) for label in setting.names]
    is_slanted = name == "x" and (len(labels) > SLANTED_FROM or max(map(len, labels)) * len(labels) > 44)
    slant = {"rotation": 30, "ha": "right", "rotation_mode": "anchor", "fontsize": 8} if is_slanted else {}
    getattr(axes, f"set_{name}ticks")(range(len(labels)), labels, **slant)
    getattr(axes, f"set_{name}lim")(-0.5, len(labels) - 0.5)
