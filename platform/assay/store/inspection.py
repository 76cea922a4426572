"""Inspect everything in a store: each record, each file that a record lists, and what no record lists."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from assay.errors import DamagedResult
from assay.store.checkpoints import Checkpoints
from assay.store.damage import Damage
from assay.store.folders import KEY, Folder
from assay.store.journal import Computed, Decisions, Suggestions
from assay.store.leases import lease_records
from assay.store.records import FileRecord, file_record
from assay.store.scratch import leftovers
from assay.store.shards import Shards
from assay.store.store import Store
from assay.workload import Checkpointing

AT_THE_ROOT = {"results", "progress", "studies", "origins", "running", "leases", "set-aside", "staging", "ray"}


@dataclass(frozen=True)
class Fault:
    """Something wrong, described, and the function that sets it aside."""

    message: str
    mend: Callable[[], None]


class Inspection:
    """One inspection of a store. `tell` is called with the size of each inspected file.

    Contents are verified in a local store; in a remote one only sizes, since everything would have to be downloaded.
    """

    def __init__(self, store: Store, tell: Callable[[int], None] = lambda num_bytes: None) -> None:
        self._store, self._files, self._tell = store, store.files, tell
        self._problems: dict[FileRecord, list[str]] = {}
        self._named: set[str] = set()
        """Shard files that results list."""

    def faults(self) -> Iterator[Fault]:
        for name in self._files.names(""):
            if name not in AT_THE_ROOT and not name.startswith("probe-"):
                yield self._stray(name)
        for key in self._files.names("results"):
            yield from self._result(key) if re.fullmatch(KEY, key) else [self._stray(f"results/{key}")]
        yield from self._folder(self._store.origin_records)
        yield from self._groups("progress", self._of_lineage)
        yield from self._groups("studies", self._of_study)
        yield from self._folder(self._store.runs.records)
        yield from self._folder(lease_records(self._files))
        if self._files.is_local:
            for folder in leftovers(self._files.local_path("staging")):
                yield self._left(f"staging/{folder.name}")

    def _result(self, key: str) -> Iterator[Fault]:
        named: set[str] = set()
        try:
            result = self._store.read(key)
            if result is not None:
                named = {file.path.split("/")[2] for file in result.files.values()}
                self._named |= {shard.file.path for shard in result.shards}
                every_file = [*result.files.values(), *(shard.file for shard in result.shards)]
                if problems := [problem for file in every_file for problem in self._look(file)]:
                    yield self._damaged(key, DamagedResult(key, problems))
        except Damage as damage:
            yield self._damaged(key, DamagedResult(key, [str(damage)]))
            return
        if self._files.is_local:
            for folder in leftovers(self._files.local_path(f"results/{key}")):
                if folder.name not in named:
                    yield self._left(f"results/{key}/{folder.name}")

    def _damaged(self, key: str, damage: DamagedResult) -> Fault:
        return Fault(str(damage), lambda: self._store.set_aside(key, str(damage)))

    def _groups(self, at: str, folders_of: Callable[[str], dict[str, Folder[Any]]]) -> Iterator[Fault]:
        """The folders of every lineage, or of every study."""
        for name in self._files.names(at):
            path = f"{at}/{name}"
            if not re.fullmatch(KEY, name):
                yield self._stray(path)
                continue
            folders = folders_of(name)
            try:
                entries = self._files.names(path)
            except Damage as damage:
                yield self._fault(damage)
                continue
            for inner in entries:
                yield from self._folder(folders[inner]) if inner in folders else [self._stray(f"{path}/{inner}")]

    def _of_lineage(self, lineage: str) -> dict[str, Folder[Any]]:
        shards, checkpoints = Shards(self._files, lineage), Checkpoints(self._files, lineage, 1, Checkpointing(every=1))
        return {
            "shards": shards.records,
            "settled": shards.answers,
            "charged": shards.charges,
            "checkpoints": checkpoints.records,
            "readers": checkpoints.readers,
        }

    def _of_study(self, study: str) -> dict[str, Folder[Any]]:
        at = f"studies/{study}"
        return {
            "decisions": Decisions(self._files, f"{at}/decisions").records,
            "suggestions": Suggestions(self._files, f"{at}/suggestions").records,
            "computed": Computed(self._files, f"{at}/computed").records,
        }

    def _folder(self, folder: Folder[Any]) -> Iterator[Fault]:
        try:
            names = self._files.names(folder.path)
        except Damage as damage:
            yield self._fault(damage)
            return
        named: set[str] = set()
        for name in names:
            path = f"{folder.path}/{name}"
            if not folder.belongs(name):
                yield self._stray(path)
            elif folder.is_record(name):
                entries, problems = self._record(folder, name)
                named |= {*entries}
                if problems:
                    yield self._broken(folder, name, "; ".join(problems), entries)
        for name in names:
            path = f"{folder.path}/{name}"
            is_named = folder.is_record(name) or name in named or path in self._named
            if folder.belongs(name) and not is_named and self._files.is_abandoned(path):
                yield self._left(path)

    def _record(self, folder: Folder[Any], name: str) -> tuple[Sequence[str], Sequence[str]]:
        """The entries of the folder that a record lists, and what is wrong with the record and with them."""
        self._tell(0)
        try:
            record = folder.look(name)
        except Damage as damage:
            return [], [str(damage)]
        entries = [] if record is None else record.entries
        return folder.held(entries), [problem for entry in entries for problem in self._look(file_record(entry))]

    def _broken(self, folder: Folder[Any], name: str, why: str, entries: Sequence[str]) -> Fault:
        return Fault(folder.damaged(name, why), lambda: folder.discard(name, why, entries))

    def _look(self, file: FileRecord) -> list[str]:
        """The problems of a file. Several results may list a shard: it is read once."""
        if file not in self._problems:
            self._problems[file] = self._files.problems(file, checksum=self._files.is_local)
            self._tell(file.bytes)
        return self._problems[file]

    def _stray(self, path: str) -> Fault:
        return self._fault(Damage(path, "does not belong there"))

    def _left(self, path: str) -> Fault:
        return self._fault(Damage(path, "was left by a run that was killed"))

    def _fault(self, damage: Damage) -> Fault:
        return Fault(str(damage), lambda: self._files.discard(damage.path, str(damage)))
