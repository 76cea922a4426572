"""Tables on a terminal: roomy if they fit, else tight, else with fewer columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, Generic

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from assay.redaction import printable
from assay.report.tables.listing import Column, Listing, R, Style

UNBOUNDED = 1000
STYLES: dict[Style, str] = {"": "", "best": "bold green", "bad": "red", "faint": "dim"}


class Terminal(Console):
    """A console that prints text literally, with escape sequences and Rich's markup disabled."""

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)


class Grid(Generic[R]):
    """A listing rendered for the width of the terminal."""

    def __init__(self, listing: Listing[R]) -> None:
        self._listing = listing

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        unbounded = options.update(max_width=UNBOUNDED)
        roomy = _table(self._listing, is_tight=False)
        if console.measure(roomy, options=unbounded).maximum <= options.max_width:
            yield roomy
            return

        def fits(table: RenderableType) -> bool:
            return console.measure(table, options=unbounded).minimum <= options.max_width

        tight = _table(self._listing, is_tight=True)
        yield from [tight] if fits(tight) or not self._listing.may_shrink else _shrunk(self._listing, fits)


def _shrunk(listing: Listing[R], fits: Callable[[RenderableType], bool]) -> Iterator[RenderableType]:
    """Leave out columns that are the same in every row, with a line below instead; then spare columns, last first."""
    constant: dict[str, str] = {}
    for column in listing.columns:
        texts = {column.shown(row) for row in listing.rows}
        if len(texts) == 1 and len(listing.rows) > 1 and not column.is_main:
            constant[column.header] = texts.pop()
    columns = [column for column in listing.columns if column.header not in constant]
    left_out: list[Column[R]] = []
    while not fits(grid := _table(replace(listing, columns=columns), is_tight=True)):
        spare = [column for column in columns if column.is_spare]
        if not spare:
            break
        left_out.insert(0, spare[-1])
        columns = [column for column in columns if column is not spare[-1]]
    yield grid
    if constant:
        texts_once = "; ".join(f"{name} {text}" for name, text in constant.items())
        yield from (Text(), Text(f"the same in every row: {texts_once}"))
    if left_out:
        names = ", ".join(column.title or column.header for column in left_out)
        yield from (Text(), Text(f"no room here, but in --json: {names}"))


def _table(listing: Listing[R], is_tight: bool) -> Table:
    """Tight: less space between columns, and headers broken into lines."""
    grid = Table(
        title=listing.title,
        title_justify="left",
        box=box.SIMPLE,
        show_edge=False,
        padding=(0, 0 if is_tight else 1),
        pad_edge=False,
    )
    for column in listing.columns:
        header = column.header if column.title is None else column.title
        grid.add_column(
            header.replace("_", "_\n", 1).replace(" ", "\n") if is_tight else header,
            justify="right" if column.is_number else "left",
            no_wrap=column.is_number or not column.folds,
            overflow="fold",
            min_width=column.min_width,
        )
    for row in listing.rows:
        grid.add_row(*(_cell(column, row, is_tight) for column in listing.columns), style=STYLES[listing.style(row)])
    return grid


def _cell(column: Column[R], row: R, is_tight: bool) -> Text:
    text = column.shown(row)
    return Text(text.replace(" ± ", "\n±") if is_tight else text, style=column.color(row) if column.color else "")
