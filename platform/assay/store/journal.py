"""What a study's searcher and scheduler decided, and what it computed, so that the next run goes on from there.

Results are shared by everyone who asks for the same stage; these belong to one study, and are kept beside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from assay.errors import StoreError
from assay.store.records import Files
from assay.workload import JSON

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
    """The values that were suggested for the parameters, in order."""

    def __init__(self, files: Files, folder: str) -> None:
        self._files = files
        self._folder = folder

    def all(self) -> list[dict[str, JSON]]:
        names = sorted(self._files.names(self._folder))
        return [_read(self._files, f"{self._folder}/{name}")["values"] for name in names]

    def add(self, values: Mapping[str, JSON]) -> None:
        number = len(self._files.names(self._folder))
        self._files.write_record(f"{self._folder}/{number:06d}.json", {"values": dict(values)})


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
