"""What a store could do without: what no plan that is kept reaches, no run uses, and nobody changed lately."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from assay.store.checkpoints import Checkpoints, read_lately
from assay.store.contents import Tree, trees
from assay.store.damage import Damage
from assay.store.folders import KEY, Folder
from assay.store.journal import Computed
from assay.store.records import Files
from assay.store.schema import CheckpointRecord
from assay.store.scratch import LEFT_ALONE_S, leftovers
from assay.store.shards import Shards
from assay.store.store import Store, StoredResult
from assay.store.trash import Trash
from assay.workload import Checkpointing

What = Literal["results", "progress", "studies", "origins", "leases", "staging", "ray", "set-aside"]
"""Results; checkpoints and shards; the memory of searches, races and charges; records of where results come from;
what killed runs said that they compute; interrupted uploads; Ray's scratch in an object store; damaged files."""
Author = tuple[str, str | None]
"""The name and the profile of the sweep that computed something."""


@dataclass(frozen=True)
class Reached:
    """Keys, lineages and folders of studies that must stay."""

    keys: frozenset[str] = frozenset()
    lineages: Mapping[str, float] = field(default_factory=dict)
    """Lineage → the largest budget that is reached: checkpoints and shards beyond it may go."""
    studies: frozenset[str] = frozenset()

    def __or__(self, other: Reached) -> Reached:
        lineages = _largest([*self.lineages.items(), *other.lineages.items()])
        return Reached(self.keys | other.keys, lineages, self.studies | other.studies)

    def has(self, path: str) -> bool:
        """Whether a folder of the store, or what is in it, is among them: "results/<key>"."""
        parent, name, *_ = path.split("/")
        among: Mapping[str, Collection[str]] = {
            "results": self.keys,
            "progress": self.lineages,
            "studies": self.studies,
        }
        return name in among.get(parent, ())


@dataclass(frozen=True)
class Garbage:
    """A folder of the store that can be deleted, the record of an origin, or one checkpoint or shard of a lineage that
    stays."""

    path: str
    what: What
    bytes: int
    records: Sequence[str] = ()
    stage: str = ""
    """The stage of a result; empty for what never became one."""
    author: Author | None = None
    """The sweep that computed it; None if that is not known."""
    parts: Sequence[str] = ()
    """The paths to delete, records first, if they are not one folder."""


def in_use(store: Store) -> Reached:
    """What runs use that renewed their note within a day: one that is silent for longer was killed."""
    runs = store.running(LEFT_ALONE_S)
    return Reached(
        frozenset(key for run in runs for key in run.keys),
        {lineage: math.inf for run in runs for lineage in run.lineages},
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
        for parts in (("results",), ("progress", "studies", "staging", "ray", "set-aside"), ("origins", "leases")):
            taken = [each for each in listed if each.what in parts]
            for each in taken:
                for path in each.parts or [each.path]:
                    trash.take(path, [*each.records])
            used = in_use(store)  # not earlier: a run that began before sees the folder, or is seen here
            is_any_running = bool(store.running(LEFT_ALONE_S))
            for each in taken:
                if used.has(each.path) or (each.what in ("origins", "leases") and is_any_running):
                    for path in reversed(each.parts or [each.path]):  # records last
                        trash.put_back(path)
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
        staying = [self._records[key] for key in keys if key in self._records]
        results_reach = ((lineage, result.budget.amount) for result in staying for lineage in _lineages(result))
        stay = _largest([*results_reach, *self._kept.lineages.items()])
        found: list[Garbage] = []
        for key, tree in self._results.items():
            if re.fullmatch(KEY, key) and key not in keys:
                stage = self._records[key].stage if key in self._records else ""
                found.append(self._of(f"results/{key}", "results", tree, stage, self._authors.get(key)))
        authors = {_lineage(record): self._authors.get(key) for key, record in self._records.items()}
        stages = {_lineage(record): record.stage for record in self._records.values()}
        for lineage, tree in self._progress.items():
            if not re.fullmatch(KEY, lineage) or self._is_young(tree) or read_lately(self._files, lineage):
                continue
            about = stages.get(lineage, ""), authors.get(lineage)
            if lineage in stay:
                found += self._beyond(lineage, stay[lineage], *about)
            else:
                found.append(self._of(f"progress/{lineage}", "progress", tree, *about))
        for study, tree in self._studies.items():
            if re.fullmatch(KEY, study) and study not in self._kept.studies and not self._is_young(tree):
                author = _journal(self._store, study).author()
                found.append(self._of(f"studies/{study}", "studies", tree, author=author))
        going = {each.path for each in found}
        return [*found, *self._origins(going), *self._left(with_set_aside)]

    def _beyond(self, lineage: str, amount: float, stage: str, author: Author | None) -> Iterator[Garbage]:
        """The checkpoints and shards of a lineage that only budgets above `amount` use."""
        saved, rows = _checkpoints(self._files, lineage), Shards(self._files, lineage)
        for name, checkpoint in saved.all().items():
            if checkpoint.step > amount:
                path = f"{saved.path}/{name.removesuffix('.json')}"
                record, size = f"{path}.json", sum(file.bytes for file in checkpoint.files.values())
                yield Garbage(path, "progress", size, [record], stage, author, [record, path])
        for name, shard in rows.records.all().items():
            if shard.start >= amount:
                record, file = f"{rows.records.path}/{name}", shard.files.rows
                yield Garbage(file.path, "progress", file.bytes, [record], stage, author, [record, file.path])
        for charge in rows.charges.all().values():  # else the shards would count as paid for once they are made again
            if charge.amount > amount:
                record = f"{rows.charges.path}/{charge.amount:09d}.json"
                yield Garbage(record, "progress", 0, [record], stage, author, [record])

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
                saved = _checkpoints(self._files, lineage)
                for name, checkpoint in saved.all().items():
                    if f"{saved.path}/{name.removesuffix('.json')}" not in going:
                        yield from checkpoint.origins
                for shard in Shards(self._files, lineage).listed():
                    if shard.file.path not in going:
                        yield shard.origin

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
        if not self._store.running(LEFT_ALONE_S):
            for name, tree in trees(self._files, "leases").items():
                if not self._is_young(tree):
                    found.append(self._of(f"leases/{name}", "leases", tree))
        if with_set_aside:
            for name, tree in trees(self._files, "set-aside").items():
                if not self._is_young(tree):
                    found.append(self._of(f"set-aside/{name}", "set-aside", tree))
        return found

    def _of(self, path: str, what: What, tree: Tree, stage: str = "", author: Author | None = None) -> Garbage:
        depth = path.count("/") + (1 if what == "results" else 2)
        records = [file for file in tree.files if file.endswith(".json") and file.count("/") <= depth]
        return Garbage(path, what, tree.bytes, records, stage, author)

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


def _checkpoints(files: Files, lineage: str) -> Folder[CheckpointRecord]:
    return Checkpoints(files, lineage, 1, Checkpointing(every=1)).records


def _largest(amounts: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Lineage → its largest amount."""
    largest: dict[str, float] = {}
    for lineage, amount in amounts:
        largest[lineage] = max(amount, largest.get(lineage, 0))
    return largest


def _lineage(result: StoredResult) -> str:
    return str(result.record.get("lineage", result.key))


def _lineages(result: StoredResult) -> set[str]:
    """Its own, and those with shards that it lists."""
    return {_lineage(result), *(shard.file.path.split("/")[1] for shard in result.shards)}


def _sources(result: StoredResult) -> list[str]:
    rows = result.rows_read
    read: Mapping[str, str] = {} if rows is None else {**rows.inputs, "": rows.key}
    return [*result.inputs.values(), *read.values()]
