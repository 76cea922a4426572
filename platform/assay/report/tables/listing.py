"""A table before it is rendered: columns that read records. Terminal, Markdown, HTML and CSV render the same one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

R = TypeVar("R")
Style = Literal["", "best", "bad", "faint"]


@dataclass(frozen=True)
class Column(Generic[R]):
    """One column: how a person reads a cell of it, and its value as data."""

    header: str
    shown: Callable[[R], str]
    value: Callable[[R], str | float | int | None] | None = None
    """None where it is what is shown."""
    is_number: bool = False
    """Aligned to the right, and never broken into lines."""
    folds: bool = True
    """Text that is too long is broken into lines."""
    min_width: int | None = None
    """Characters, on a terminal."""
    color: Callable[[R], str] | None = None
    """How a cell looks on a terminal, in Rich's words."""
    title: str | None = None
    """The header on a terminal, where it must be short: a note says the rest."""
    is_spare: bool = False
    """Left out where a terminal has no room for it."""
    is_main: bool = False
    """What the rows are ranked by: never left out."""


@dataclass(frozen=True)
class Listing(Generic[R]):
    """A table of records, a row each."""

    title: str | None
    columns: Sequence[Column[R]]
    rows: Sequence[R]
    style: Callable[[R], Style] = lambda row: ""
    may_shrink: bool = False
    """Columns may be left out where a terminal has no room for them, and a line below says which."""

    def cells(self, row: R) -> list[str]:
        return [column.shown(row) for column in self.columns]
