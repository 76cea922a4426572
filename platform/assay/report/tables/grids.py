"""Tables on a terminal: roomy where they fit, tight where they would not, and less of them where even that is wide."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.table import Table

from assay.text import printable

UNBOUNDED = 1000


class Terminal(Console):
    """A console that shows what it is given, and obeys none of it: neither escape sequences nor Rich's own markup."""

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)


class Grid:
    """A table that is made anew for the width there is: `make` is told whether it must be tight; where that does not
    fit either, `least` makes the table, and is given what tells whether one fits."""

    def __init__(
        self,
        make: Callable[[bool], RenderableType],
        least: Callable[[Callable[[RenderableType], bool]], RenderableType] | None = None,
    ) -> None:
        self._make = make
        self._least = least

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        unbounded = options.update(max_width=UNBOUNDED)
        roomy = self._make(False)
        if console.measure(roomy, options=unbounded).maximum <= options.max_width:
            yield roomy
            return

        def fits(table: RenderableType) -> bool:
            return console.measure(table, options=unbounded).minimum <= options.max_width

        tight = self._make(True)
        yield tight if self._least is None or fits(tight) else self._least(fits)


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
