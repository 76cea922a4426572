"""Figures without pyplot: no window, no state that outlives them, no warning in the user's terminal."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure


PLOT_DPI = 150
"""Sharp on a phone, and still a small file."""
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F", "#8C564B")
"""Okabe and Ito's, which most people tell apart."""
MARKERS = ("o", "s", "^", "v", "P", "X", "<", ">")
"""A line is told by its marker, too, where it is printed without colour."""


def new_figure(width_inches: float, height_inches: float, dpi: int, **options: Any) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_inches, height_inches), dpi=dpi, facecolor="white", **options)
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: Path) -> Path:
    with warnings.catch_warnings():
        # A name in a script that the font lacks shows as boxes; the table has it in full.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        figure.savefig(path)
    return path


def literal(text: str) -> str:
    """Text as matplotlib must be given it: a dollar sign in a name does not start a formula."""
    return text.replace("$", r"\$")
