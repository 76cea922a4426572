"""Folders of records. A damaged or stray file is reported, set aside and then treated as absent."""

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

    `names`: a pattern of the names allowed in it, including the files that records list. `what`: what messages call the
    record of a name (without suffix). `then`: what happens after a damaged one is set aside. `rebuild`: makes a record
    from its name alone; such records are written, but only `assay doctor` reads them.
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
        rebuild: Callable[[str], Mapping[str, JSON]] | None = None,
        suffix: str = ".json",
    ) -> None:
        self.files, self.path = files, path
        self._kind, self._names = kind, re.compile(names)
        self._what, self._then, self._rebuild, self._suffix = what, then, rebuild, suffix

    def belongs(self, name: str) -> bool:
        return self._names.fullmatch(name) is not None

    def names(self) -> list[str]:
        """Every allowed name in the folder. Others are set aside."""
        try:
            entries = self.files.names(self.path)
        except Damage as damage:
            self.files.discard(damage.path, str(damage))
            return []
        for name in entries:
            if not self.belongs(name):
                self.discard_stray(name)
        return [name for name in entries if self.belongs(name)]

    def is_record(self, name: str) -> bool:
        """Whether an allowed name is a record, not a file that a record lists."""
        return name.endswith(self._suffix)

    def records(self) -> list[str]:
        """The names of the records."""
        return [name for name in self.names() if self.is_record(name)]

    def all(self) -> dict[str, R]:
        """Every undamaged record, by name."""
        read = ((name, self.read(name)) for name in self.records())
        return {name: record for name, record in read if record is not None}

    def read(self, name: str) -> R | None:
        """The record, or None if it is absent or damaged."""
        try:
            return self.look(name)
        except Damage as damage:
            self.discard(name, str(damage))
            return None

    def look(self, name: str) -> R | None:
        """The record, or None if it is absent. Raises Damage."""
        path = f"{self.path}/{name}"
        content = self.files.read_record(path)
        if content is None:
            return None
        record = typed(path, self._kind, content)
        is_ours = all(entry.path.startswith(f"{self.path}/") for entry in record.entries)
        if not name.startswith(record.stem) or not is_ours:
            raise Damage(path, "is a record that belongs elsewhere")
        return record

    def write(self, name: str, content: Mapping[str, JSON]) -> None:
        self.files.write_record(f"{self.path}/{name}", content)

    def remove(self, name: str) -> None:
        self.files.remove(f"{self.path}/{name}")

    def discard(self, name: str, why: str, others: Sequence[str] = ()) -> None:
        """Set a record aside, with `others` of the folder.

        The files that it lists stay unless they are damaged: results list shards too.
        """
        beside = [f"{self.path}/{other}" for other in others]
        self.files.discard(f"{self.path}/{name}", self.damaged(name, why), beside, self._then)
        if self._rebuild is not None and self.files.heals:
            self.write(name, self._rebuild(name.removesuffix(self._suffix)))

    def held(self, entries: Sequence[FileEntry]) -> list[str]:
        """The entries of this folder that hold the files of a record: a file, or a folder of several."""
        return sorted({entry.path.removeprefix(f"{self.path}/").split("/")[0] for entry in entries})

    def damaged(self, name: str, why: str) -> str:
        return f"{self._what(name.removesuffix(self._suffix))} is damaged: {why}"

    def discard_stray(self, name: str) -> None:
        damage = Damage(f"{self.path}/{name}", "does not belong there")
        self.files.discard(damage.path, str(damage))
