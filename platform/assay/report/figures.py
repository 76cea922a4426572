"""Matplotlib figures without pyplot: no windows, no global state, no warnings in the user's terminal."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure


PLOT_DPI = 150
"""Sharp on a phone, in a small file."""
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F", "#8C564B")
"""Mostly by Okabe and Ito, distinguishable with most forms of colour blindness."""
MARKERS = ("o", "s", "^", "v", "P", "X", "<", ">")
"""Markers distinguish lines in prints without colour."""
HATCHES = ("", "//", "..", "xx", "--")
"""Hatches of bars once the colours repeat."""
HEAD_CHARACTER = 0.115
"""Inches: largest width of a character in the title."""
MOST_CHARACTERS = 60
"""The longest label on one line."""
ELLIPSIS = "…"


def new_figure(width_inches: float, height_inches: float, dpi: int, **options: Any) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_inches, height_inches), dpi=dpi, facecolor="white", **options)
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: Path) -> Path:
    with without_glyph_warnings():
        figure.savefig(path)
    return path


@contextmanager
def without_glyph_warnings() -> Iterator[None]:
    """Characters missing in the font are drawn as boxes; the table has the full names."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        yield


def inches_wide(texts: Iterable[str], points: float = 10) -> float:
    """The width of the widest text."""
    from matplotlib.backends.backend_agg import RendererAgg
    from matplotlib.font_manager import FontProperties

    renderer, font = RendererAgg(1, 1, PLOT_DPI), FontProperties(size=points)
    with without_glyph_warnings():
        widths = [renderer.get_text_width_height_descent(text, font, False)[0] for text in texts]
    return max(widths, default=0.0) / PLOT_DPI


def wrapped(text: str, characters: int, inches: float) -> list[str]:
    """The text in lines of this many characters, or fewer if the characters are wide."""
    lines = textwrap.wrap(text, characters)
    widest = inches_wide(lines)
    return lines if widest <= inches else textwrap.wrap(text, max(1, int(characters * inches / widest)))


def literal(text: str) -> str:
    """The text escaped for matplotlib, for which a dollar sign starts a formula."""
    return text.replace("$", r"\$")


def shortened(labels: Iterable[str], most: int = MOST_CHARACTERS) -> dict[str, str]:
    """Each label as it fits into a picture: long ones are cut in the middle, and numbered if that makes them equal."""
    every = list(dict.fromkeys(labels))
    short = {label: label for label in every if len(label) <= most}
    used = set(short)
    last_number: dict[str, int] = {}  # ends of labels → the last number used with them
    for label in every:
        if label not in short:
            ends = cut = _ends(label, most)
            number = last_number.get(ends, 1)
            while cut in used:
                number += 1
                mark = f" ({number})"
                cut = _ends(label, most - len(mark)) + mark
            used.add(cut)
            last_number[ends] = number
            short[label] = cut
    return {label: short[label] for label in every}


def _ends(label: str, most: int) -> str:
    """The label cut in the middle: its end, a parameter or a seed, distinguishes the trials of an arm."""
    tail = most // 3
    return label[: most - tail - len(ELLIPSIS)].rstrip() + ELLIPSIS + label[-tail:].lstrip()
