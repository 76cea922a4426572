"""Registries: each name that a user may write is registered once, with the facts that the rest of the code needs."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from assay.errors import AssayWarning, UserError, did_you_mean
from assay.text import first_line

Entry = TypeVar("Entry")


class Registry(Generic[Entry]):
    """Entries by name. An installed package adds one by an entry point of the registry's group, but replaces none of
    ours.

    An entry is a small frozen record of facts, so that listing names and reading facts imports no heavy library: it
    names its implementation by an import path "module:attribute".
    """

    def __init__(self, noun: str, group: str) -> None:
        self.noun, self.group = noun, group
        self._entries: dict[str, Entry] = {}
        self._loaded: dict[EntryPoint, Entry] = {}
        """Entries of installed packages, loaded on first use."""

    def register(self, name: str, entry: Entry) -> Entry:
        """Add an entry. Raises ValueError if the name is taken."""
        if name in self._entries:
            raise ValueError(f"there is a {self.noun} {name!r} already")
        self._entries[name] = entry
        return entry

    def names(self) -> list[str]:
        """Our own names in the order of registration, then those of installed packages, sorted."""
        return [*self._entries, *(name for name in sorted(self._installed()) if name not in self._entries)]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __contains__(self, name: object) -> bool:
        return name in self._entries or name in self._installed()

    def items(self) -> Iterator[tuple[str, Entry]]:
        """Every name and entry; an entry that cannot be imported is left out with a warning."""
        for name in self.names():
            try:
                yield name, self[name]
            except UserError as error:
                warnings.warn(str(error), AssayWarning, stacklevel=2)

    def __getitem__(self, name: str) -> Entry:
        """The entry. Raises UserError for an unknown name, and for an entry that cannot be imported."""
        if name in self._entries:
            return self._entries[name]
        if (point := self._installed().get(name)) is None:
            raise UserError(self.refusal(name))
        if point in self._loaded:
            return self._loaded[point]
        try:
            self._loaded[point] = point.load()
        except Exception as error:  # importing a module may raise anything
            reason = first_line(error, with_type=True)
            raise UserError(f"the {self.noun} {name!r} ({point.value}) cannot be imported: {reason}") from error
        return self._loaded[point]

    def checked(self, name: str) -> str:
        """The name, if there is such an entry; else ValueError. A pydantic validator:
        Annotated[str, AfterValidator(REGISTRY.checked)]."""
        try:
            self[name]
        except UserError as error:
            raise ValueError(str(error)) from error
        return name

    def refusal(self, name: str) -> str:
        names = self.names()
        return f"unknown {self.noun} {name!r}{did_you_mean(name, names, ';')} allowed: {', '.join(names)}"

    def _installed(self) -> dict[str, EntryPoint]:
        return _entry_points(self.group, tuple(sys.path))


@cache
def _entry_points(group: str, path: tuple[str, ...]) -> dict[str, EntryPoint]:
    """Entry points of installed packages by name. Cached per import path, since a lookup reads every package's
    metadata."""
    return {point.name: point for point in entry_points(group=group)}
