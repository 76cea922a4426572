"""Tables on a terminal: roomy where they fit, tight where they would not."""

from __future__ import annotations

from collections.abc import Callable

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table

UNBOUNDED = 1000


class Grid:
    """A table that is made anew for the width there is; `make` is told whether it must be tight."""

    def __init__(self, make: Callable[[bool], Table]) -> None:
        self._make = make

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        roomy = self._make(False)
        fits = console.measure(roomy, options=options.update(max_width=UNBOUNDED)).maximum <= options.max_width
        yield roomy if fits else self._make(True)


def ruled(title: str | None, is_tight: bool) -> Table:
    """An empty table with a rule below its header: three columns of space between cells, or one."""
    return Table(
        title=title,
        title_justify="left",
        box=box.SIMPLE,
        show_edge=False,
        padding=(0, 0 if is_tight else 1),
        pad_edge=False,
    )
