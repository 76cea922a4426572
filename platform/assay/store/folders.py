"""Folders of records: what is damaged or does not belong there is told of, set aside, and as if it were not there."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

from assay.store.damage import Damage
from assay.store.records import Files, typed
from assay.store.schema import FileEntry, Record
from assay.workload import JSON

KEY = "[0-9a-f]{32}"
R = TypeVar("R", bound=Record)


class Folder(Generic[R]):
    """The records of one kind in one folder of the store, by the names of their files.

    `names`: a pattern of what may lie there, files that belong to a record included. `what`: what the user calls the
    record of a name without its suffix. `then`: what becomes of it where one is damaged. `anew`: what a record says
    whose name says it all; such records are written, and read by nobody but `assay doctor`.
    """

    def __init__(
        self,
        files: Files,
        path: str,
        kind: type[R],
        names: str,
        *,
        what: Callable[[str], str],
        then: str = "",
        anew: Callable[[str], Mapping[str, JSON]] | None = None,
        suffix: str = ".json",
    ) -> None:
        self.files, self.path = files, path
        self._kind, self._names = kind, re.compile(names)
        self._what, self._then, self._anew, self._suffix = what, then, anew, suffix

    def belongs(self, name: str) -> bool:
        return self._names.fullmatch(name) is not None

    def names(self) -> list[str]:
        """The names of everything in it that may be there."""
        try:
            there = self.files.names(self.path)
        except Damage as damage:
            self.files.discard(damage.path, str(damage))
            return []
        for name in there:
            if not self.belongs(name):
                self.discard_stray(name)
        return [name for name in there if self.belongs(name)]

    def is_record(self, name: str) -> bool:
        """Whether a name that belongs there is a record's, and not that of a file which one names."""
        return name.endswith(self._suffix)

    def records(self) -> list[str]:
        """The names that records have."""
        return [name for name in self.names() if self.is_record(name)]

    def all(self) -> dict[str, R]:
        """Every record that is whole, by its name."""
        read = ((name, self.read(name)) for name in self.records())
        return {name: record for name, record in read if record is not None}

    def read(self, name: str) -> R | None:
        """The record, or None where there is none that is whole."""
        try:
            return self.look(name)
        except Damage as damage:
            self.discard(name, str(damage))
            return None

    def look(self, name: str) -> R | None:
        """The record, or None where there is none. Raises Damage."""
        path = f"{self.path}/{name}"
        content = self.files.read_record(path)
        if content is None:
            return None
        record = typed(path, self._kind, content)
        is_ours = all(entry.path.startswith(f"{self.path}/") for entry in record.entries)
        if not name.startswith(record.stem) or not is_ours:
            raise Damage(path, "is the record of another place")
        return record

    def write(self, name: str, content: Mapping[str, JSON]) -> None:
        self.files.write_record(f"{self.path}/{name}", content)

    def discard(self, name: str, why: str, others: Sequence[str] = ()) -> None:
        """Set a record aside, and others of the folder with it.

        Not the files that it names, unless it is they that are damaged: results name shards, too.
        """
        beside = [f"{self.path}/{other}" for other in others]
        self.files.discard(f"{self.path}/{name}", self.damaged(name, why), beside, self._then)
        if self._anew is not None and self.files.heals:
            self.write(name, self._anew(name.removesuffix(self._suffix)))

    def held(self, entries: Sequence[FileEntry]) -> list[str]:
        """What there is in the folder of the files that a record names: a file, or a folder of several."""
        return sorted({entry.path.removeprefix(f"{self.path}/").split("/")[0] for entry in entries})

    def damaged(self, name: str, why: str) -> str:
        return f"{self._what(name.removesuffix(self._suffix))} is damaged: {why}"

    def discard_stray(self, name: str) -> None:
        damage = Damage(f"{self.path}/{name}", "does not belong there")
        self.files.discard(damage.path, str(damage))
