"""A table before it is rendered: columns that read records. Terminals, Markdown, HTML and CSV render the same one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

R = TypeVar("R")
Style = Literal["", "best", "bad", "faint"]


@dataclass(frozen=True)
class Column(Generic[R]):
    """One column: its cells as text, and as data."""

    header: str
    shown: Callable[[R], str]
    value: Callable[[R], str | float | int | None] | None = None
    """None if it is the text."""
    is_number: bool = False
    """Aligned to the right, and never broken into lines."""
    folds: bool = True
    """Long text is broken into lines."""
    min_width: int | None = None
    """Characters, on a terminal."""
    color: Callable[[R], str] | None = None
    """Rich style of a cell on a terminal."""
    title: str | None = None
    """A shorter header for terminals and the HTML page."""
    is_spare: bool = False
    """Left out on narrow terminals."""
    is_main: bool = False
    """The rows are ranked by it: never left out."""


@dataclass(frozen=True)
class Listing(Generic[R]):
    """A table with a row per record."""

    title: str | None
    columns: Sequence[Column[R]]
    rows: Sequence[R]
    style: Callable[[R], Style] = lambda row: ""
    may_shrink: bool = False
    """Columns may be left out on narrow terminals; a line below names them."""

    def cells(self, row: R) -> list[str]:
        return [column.shown(row) for column in self.columns]
