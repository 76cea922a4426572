"""A chart of a schedule: a line per stage, a bar from its start to its end."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from assay.report.figures import COLORS, PLOT_DPI, inches_wide, literal, new_figure, save
from assay.report.html.elements import document, figure, listed
from assay.text import took

WIDTH = 9.0
LINE = 0.24
"""Inches per line."""
TICKS = 6


@dataclass(frozen=True)
class Bar:
    """A stage: its title, and when it ran; what was lost is drawn pale."""

    title: str
    spans: Sequence[tuple[float, float, bool]]
    """(start, end, whether it was lost), in seconds."""


def draw_schedule(title: str, bars: Sequence[Bar], seconds: float, file: Path) -> Path:
    """Bars are drawn in their order, the first on top. Stages of one name have one colour."""
    label_inches = min(4.0, inches_wide([bar.title for bar in bars]))
    drawing = new_figure(WIDTH + label_inches, 1.2 + LINE * max(4, len(bars)), PLOT_DPI, layout="constrained")
    axes = drawing.subplots()
    names = list(dict.fromkeys(bar.title.partition(" (")[0] for bar in bars))
    for place, bar in enumerate(bars):
        color = COLORS[names.index(bar.title.partition(" (")[0]) % len(COLORS)]
        least = seconds / 500  # visible however short
        for start, end, is_lost in bar.spans:
            axes.broken_barh(
                [(start, max(end - start, least))], (place - 0.4, 0.8), color=color, alpha=0.3 if is_lost else 1
            )
    axes.set_yticks(range(len(bars)), [literal(bar.title) for bar in bars], fontsize=8)
    axes.set_ylim(len(bars) - 0.4, -0.6)
    axes.set_xlim(0, seconds)
    step = _step(seconds / TICKS)
    ticks = [step * number for number in range(int(seconds / step) + 1)]
    axes.set_xticks(ticks, [took(tick) for tick in ticks], fontsize=8)
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    if title:
        drawing.suptitle(literal(title), fontweight="bold", x=0.01, ha="left")
    return save(drawing, file)


def schedule_page(title: str, bars: Sequence[Bar], seconds: float, lines: Sequence[str]) -> str:
    """The chart as a page of HTML that needs nothing else, with lines below it."""
    with tempfile.TemporaryDirectory() as folder:
        picture = figure(draw_schedule("", bars, seconds, Path(folder) / "schedule.png"), title)
    return document(title, "", [picture, listed(line.strip() for line in lines)])


def _step(seconds: float) -> float:
    """A round time that is not smaller: seconds, minutes, hours or days."""
    for unit in (1.0, 60.0, 3600.0, 86_400.0):
        for many in (1, 2, 5, 10, 15, 30) if unit < 3600 else (1, 2, 3, 6, 12) if unit == 3600 else (1, 2, 5, 10, 20):
            if many * unit >= seconds:
                return many * unit
    return 86_400.0 * math.ceil(seconds / 86_400.0)
