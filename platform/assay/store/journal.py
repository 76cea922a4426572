"""What a study's searcher and scheduler decided, and what it computed, so that the next run goes on from there.

Results are shared by everyone who asks for the same stage; these belong to one study, and are kept beside them.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from typing import Literal, get_args

from assay.errors import StoreError
from assay.store.records import Files
from assay.workload import JSON, canonical_json

Decision = Literal["go on", "stop", "reached", "finished"]
"""Of a trial at a rung: it climbs on; others are better; it has reached the target; there was no higher rung."""


class Decisions:
    """Decisions by the key of the rung's leaf."""

    def __init__(self, files: Files, folder: str) -> None:
        self._files = files
        self._folder = folder

    def all(self) -> dict[str, Decision]:
        found: dict[str, Decision] = {}
        for name in self._files.names(self._folder):
            record = _read(self._files, f"{self._folder}/{name}")
            if record["decision"] in get_args(Decision):
                found[str(record["leaf"])] = record["decision"]
        return found

    def add(self, leaf: str, decision: Decision) -> None:
        self._files.write_record(f"{self._folder}/{leaf}.json", {"leaf": leaf, "decision": decision})


class Suggestions:
    """The values that were suggested for the parameters, each once, in order."""

    def __init__(self, files: Files, folder: str) -> None:
        self._files = files
        self._folder = folder
        self._known: dict[str, dict[str, JSON]] = {}
        """What was read, by name: it stays as it is."""

    def all(self) -> list[dict[str, JSON]]:
        found: dict[str, dict[str, JSON]] = {}
        for name in self._names():
            if name not in self._known:
                self._known[name] = _read(self._files, f"{self._folder}/{name}")["values"]
            found.setdefault(canonical_json(self._known[name]), self._known[name])
        return list(found.values())

    def add(self, values: Mapping[str, JSON]) -> None:
        """At the end, unless it is there. Another run of the study may be adding, too: neither takes the other's place.

        Both may add the same at once: then it is there twice, and counts once.
        """
        if canonical_json(values) in map(canonical_json, self.all()):
            return
        names = self._names()
        place = int(names[-1].removesuffix(".json")) + 1 if names else 0
        while not _create(self._files, self._folder, f"{place:06d}.json", {"values": dict(values)}):
            place += 1

    def _names(self) -> list[str]:
        return sorted(self._files.names(self._folder))


class Computed:
    """The keys of the stages that the study's own runs computed: it is charged with them, and found the others."""

    def __init__(self, files: Files, folder: str) -> None:
        self._files = files
        self._folder = folder

    def all(self) -> frozenset[str]:
        return frozenset(name.removesuffix(".json") for name in self._files.names(self._folder))

    def add(self, key: str) -> None:
        self._files.write_record(f"{self._folder}/{key}.json", {"key": key})


def _read(files: Files, path: str) -> dict[str, JSON]:
    """Raises StoreError where the record is damaged: a guess in its place would make another study of it."""
    try:
        record = files.read_record(path)
    except ValueError as error:
        raise StoreError(f"{files.url}: {error}; remove the file to let the study decide this anew") from error
    assert record is not None, "it was just listed"
    return record


def _create(files: Files, folder: str, name: str, content: Mapping[str, JSON]) -> bool:
    """Write a record unless there is one; says whether it did. In one step where the filesystem has links."""
    path = f"{folder}/{name}"
    if files.is_local:
        draft = f"{folder}/.{uuid.uuid4().hex}"
        files.write_record(draft, content)
        try:
            os.link(files.local_path(draft), files.local_path(path))
            return True
        except FileExistsError:
            return False
        except OSError:
            pass  # a filesystem without them
        finally:
            files.remove(draft)
    if name in files.names(folder):
        return False
    files.write_record(path, content)
    return True
