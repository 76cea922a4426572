"""Figures without pyplot: no window, no state that outlives them, no warning in the user's terminal."""

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
"""Sharp on a phone, and still a small file."""
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F", "#8C564B")
"""Okabe and Ito's, which most people tell apart."""
MARKERS = ("o", "s", "^", "v", "P", "X", "<", ">")
"""A line is told by its marker, too, where it is printed without colour."""
HATCHES = ("", "//", "..", "xx", "--")
"""Hatches of bars once the colours repeat."""
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
    """A name in a script that the font lacks shows as boxes; the table has it in full."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        yield


def inches_wide(texts: Iterable[str], points: float = 10) -> float:
    """The widest of them."""
    from matplotlib.backends.backend_agg import RendererAgg
    from matplotlib.font_manager import FontProperties

    renderer, font = RendererAgg(1, 1, PLOT_DPI), FontProperties(size=points)
    with without_glyph_warnings():
        widths = [renderer.get_text_width_height_descent(text, font, False)[0] for text in texts]
    return max(widths, default=0.0) / PLOT_DPI


def wrapped(text: str, characters: int, inches: float) -> list[str]:
    """In lines of so many characters, or of fewer where these are wide ones."""
    lines = textwrap.wrap(text, characters)
    widest = inches_wide(lines)
    return lines if widest <= inches else textwrap.wrap(text, max(1, int(characters * inches / widest)))


def literal(text: str) -> str:
    """Text as matplotlib must be given it: a dollar sign in a name does not start a formula."""
    return text.replace("$", r"\$")


def shortened(labels: Iterable[str], most: int = MOST_CHARACTERS) -> dict[str, str]:
    """Each label as a picture has room for it: of a long one its two ends, and a number where others have the same."""
    every = list(dict.fromkeys(labels))
    short = {label: label for label in every if len(label) <= most}
    taken = set(short)
    reached: dict[str, int] = {}  # the ends of labels → the last number that one of them was given
    for label in every:
        if label not in short:
            ends = words = _ends(label, most)
            number = reached.get(ends, 1)
            while words in taken:
                number += 1
                mark = f" ({number})"
                words = _ends(label, most - len(mark)) + mark
            taken.add(words)
            reached[ends] = number
            short[label] = words
    return {label: short[label] for label in every}


def _ends(label: str, most: int) -> str:
    """What is said last, a parameter or a seed, is what tells trials of an arm from each other."""
    tail = most // 3
    return label[: most - tail - len(ELLIPSIS)].rstrip() + ELLIPSIS + label[-tail:].lstrip()
