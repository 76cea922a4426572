"""What a store could do without: what no plan that is kept reaches, no run uses, and nobody changed lately."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from assay.store.checkpoints import Checkpoints, read_lately
from assay.store.contents import Tree, trees
from assay.store.damage import Damage
from assay.store.folders import KEY
from assay.store.journal import Computed
from assay.store.scratch import LEFT_ALONE_S, leftovers
from assay.store.shards import Shards
from assay.store.store import Store, StoredResult
from assay.store.trash import Trash
from assay.workload import Checkpointing

What = Literal["results", "progress", "studies", "origins", "staging", "ray", "set-aside"]
"""Results; checkpoints and shards; the memory of searches, races and charges; records of where results come from;
interrupted uploads; Ray's scratch in an object store; damaged files."""
Author = tuple[str, str | None]
"""The name and the profile of the sweep that computed something."""


@dataclass(frozen=True)
class Reached:
    """Keys, lineages and folders of studies that must stay."""

    keys: frozenset[str] = frozenset()
    lineages: frozenset[str] = frozenset()
    studies: frozenset[str] = frozenset()

    def __or__(self, other: Reached) -> Reached:
        return Reached(self.keys | other.keys, self.lineages | other.lineages, self.studies | other.studies)

    def has(self, path: str) -> bool:
        """Whether a folder of the store is among them: "results/<key>"."""
        parent, _, name = path.partition("/")
        names = {"results": self.keys, "progress": self.lineages, "studies": self.studies}.get(parent)
        return names is not None and name in names


@dataclass(frozen=True)
class Garbage:
    """A folder of the store that can be deleted, or the record of an origin."""

    path: str
    what: What
    bytes: int
    records: Sequence[str] = ()
    stage: str = ""
    """Of results; empty for what never became one."""
    author: Author | None = None
    """The sweep that computed it; None if that is not known."""


def in_use(store: Store) -> Reached:
    """What runs use that renewed their note within a day: one that is silent for longer was killed."""
    runs = store.running(LEFT_ALONE_S)
    return Reached(
        frozenset(key for run in runs for key in run.keys),
        frozenset(lineage for run in runs for lineage in run.lineages),
        frozenset(study for run in runs for study in run.studies),
    )


def sweeps_of(store: Store) -> set[str]:
    """The names of the sweeps that computed something here."""
    authors = (_journal(store, study).author() for study in store.files.names("studies"))
    return {author[0] for author in authors if author is not None}


def find_garbage(store: Store, kept: Reached, older_than_s: float, *, with_set_aside: bool = False) -> list[Garbage]:
    """Everything older that is not kept and that no run uses. What stays keeps the results it was computed from."""
    return _Search(store, kept | in_use(store), time.time() - older_than_s).garbage(with_set_aside)


def delete(store: Store, garbage: Iterable[Garbage]) -> list[Garbage]:
    """Delete it, and return what was deleted: not what a run uses that began in the meantime.

    Results go first, since they list files of the other folders; the origins that all of these name go last.
    """
    deleted: list[Garbage] = []
    listed = list(garbage)
    with Trash(store.files) as trash:
        for parts in (("results",), ("progress", "studies", "staging", "ray", "set-aside"), ("origins",)):
            taken = [each for each in listed if each.what in parts]
            for each in taken:
                trash.take(each.path, [*each.records])
            used = in_use(store)  # not earlier: a run that began before sees the folder, or is seen here
            is_any_running = bool(store.running(LEFT_ALONE_S))
            for each in taken:
                if used.has(each.path) or (each.what == "origins" and is_any_running):
                    trash.put_back(each.path)
                else:
                    deleted.append(each)
            trash.empty()
    return deleted


class _Search:
    def __init__(self, store: Store, kept: Reached, until: float) -> None:
        self._store, self._files, self._until = store, store.files, until
        self._kept = kept
        self._results = trees(self._files, "results")
        self._progress = trees(self._files, "progress")
        self._studies = trees(self._files, "studies")
        self._records = {key: record for key in self._results if (record := self._read(key)) is not None}
        self._authors = dict(self._computed())

    def garbage(self, with_set_aside: bool) -> list[Garbage]:
        keys = self._staying()
        stay = {lineage for key in keys if key in self._records for lineage in _lineages(self._records[key])}
        found: list[Garbage] = []
        for key, tree in self._results.items():
            if re.fullmatch(KEY, key) and key not in keys:
                stage = self._records[key].stage if key in self._records else ""
                found.append(self._of(f"results/{key}", "results", tree, stage, self._authors.get(key)))
        authors = {_lineage(record): self._authors.get(key) for key, record in self._records.items()}
        stages = {_lineage(record): record.stage for record in self._records.values()}
        for lineage, tree in self._progress.items():
            if self._is_free(lineage, stay | self._kept.lineages, tree) and not read_lately(self._files, lineage):
                about = stages.get(lineage, ""), authors.get(lineage)
                found.append(self._of(f"progress/{lineage}", "progress", tree, *about))
        for study, tree in self._studies.items():
            if self._is_free(study, self._kept.studies, tree):
                author = _journal(self._store, study).author()
                found.append(self._of(f"studies/{study}", "studies", tree, author=author))
        going = {each.path for each in found}
        return [*found, *self._origins(going), *self._left(with_set_aside)]

    def _origins(self, going: Set[str]) -> list[Garbage]:
        """What no result, checkpoint or shard names that stays. None while anything runs: its results name it later."""
        if self._store.running(LEFT_ALONE_S):
            return []
        folder, listed = self._store.origin_records, trees(self._files, self._store.origin_records.path)
        old = {name: tree for name, tree in listed.items() if folder.belongs(name) and not self._is_young(tree)}
        named = {f"{origin}.json" for origin in self._named(going)} if old else set()
        return [self._of(f"{folder.path}/{name}", "origins", tree) for name, tree in old.items() if name not in named]

    def _named(self, going: Set[str]) -> Iterator[str]:
        """The origins of everything that is not `going`."""
        for key, record in self._records.items():
            if f"results/{key}" not in going:
                yield from record.provenance.origins
        for lineage in self._progress:
            if f"progress/{lineage}" not in going:
                for checkpoint in Checkpoints(self._files, lineage, 1, Checkpointing(every=1)).records.all().values():
                    yield from checkpoint.origins
                yield from (shard.origin for shard in Shards(self._files, lineage).listed())

    def _staying(self) -> set[str]:
        """The keys of results that stay, with those that they were computed from."""
        young = (key for key, tree in self._results.items() if self._is_recent(key, tree))
        staying, ahead = set[str](), [*self._kept.keys, *young]
        while ahead:
            key = ahead.pop()
            if key not in staying:
                staying.add(key)
                if key in self._records:
                    ahead += _sources(self._records[key])
        return staying

    def _left(self, with_set_aside: bool) -> list[Garbage]:
        """What killed uploads left, and damaged files that were set aside."""
        found = []
        if self._files.is_local:
            abandoned = {folder.name for folder in leftovers(self._files.local_path("staging"))}
            for name, tree in trees(self._files, "staging").items():
                if name in abandoned:
                    found.append(self._of(f"staging/{name}", "staging", tree))
        elif not self._store.running(LEFT_ALONE_S):  # nothing says which run's folder it is
            for name, tree in trees(self._files, "ray").items():
                if not self._is_young(tree):
                    found.append(self._of(f"ray/{name}", "ray", tree))
        if with_set_aside:
            for name, tree in trees(self._files, "set-aside").items():
                if not self._is_young(tree):
                    found.append(self._of(f"set-aside/{name}", "set-aside", tree))
        return found

    def _of(self, path: str, what: What, tree: Tree, stage: str = "", author: Author | None = None) -> Garbage:
        depth = path.count("/") + (1 if what == "results" else 2)
        records = [file for file in tree.files if file.endswith(".json") and file.count("/") <= depth]
        return Garbage(path, what, tree.bytes, records, stage, author)

    def _is_free(self, name: str, stay: Set[str], tree: Tree) -> bool:
        return re.fullmatch(KEY, name) is not None and name not in stay and not self._is_young(tree)

    def _is_young(self, tree: Tree) -> bool:
        return tree.newest > self._until

    def _is_recent(self, key: str, tree: Tree) -> bool:
        record = self._records.get(key)
        created = 0.0 if record is None else datetime.fromisoformat(record.created).timestamp()
        return created > self._until or self._is_young(tree)

    def _read(self, key: str) -> StoredResult | None:
        try:
            return self._store.read(key)
        except Damage:
            return None

    def _computed(self) -> Iterable[tuple[str, Author]]:
        """Key → the sweep that computed it, by the journals of all studies."""
        for study in self._studies:
            journal = _journal(self._store, study)
            if (author := journal.author()) is not None:
                yield from ((key, author) for key in journal.all())


def _journal(store: Store, study: str) -> Computed:
    return Computed(store.files, f"studies/{study}/computed")


def _lineage(result: StoredResult) -> str:
    return str(result.record.get("lineage", result.key))


def _lineages(result: StoredResult) -> set[str]:
    """Its own, and those with shards that it lists."""
    return {_lineage(result), *(shard.file.path.split("/")[1] for shard in result.shards)}


def _sources(result: StoredResult) -> list[str]:
    rows = result.rows_read
    read: Mapping[str, str] = {} if rows is None else {**rows.inputs, "": rows.key}
    return [*result.inputs.values(), *read.values()]
