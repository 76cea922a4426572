"""What a study's searcher and scheduler decided, and what it computed, so that the next run goes on from there.

Results are shared by everyone who asks for the same stage; these belong to one study, and are kept beside them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from assay.errors import StoreError
from assay.store.damage import Damage
from assay.store.folders import KEY, Folder
from assay.store.records import Files
from assay.store.schema import ComputedRecord, Decision, DecisionRecord, SuggestionRecord
from assay.workload import JSON, canonical_json


class Decisions:
    """Decisions by the key of the rung's leaf. One that is damaged is made anew."""

    def __init__(self, files: Files, folder: str) -> None:
        self.records = Folder(
            files, folder, DecisionRecord, r".+\.json", what="decision on {}".format, then="will be decided anew"
        )

    def all(self) -> dict[str, Decision]:
        return {record.leaf: record.decision for record in self.records.all().values()}

    def add(self, leaf: str, decision: Decision) -> None:
        self.records.write(f"{leaf}.json", {"leaf": leaf, "decision": decision})


class Suggestions:
    """The values that were suggested for the parameters, each once, in order.

    What was suggested after a damaged one was suggested in the knowledge of it. So from there on, or rather from where
    its batch begins, all is suggested anew: by the same history the same again, and what is stored of it is found.
    """

    def __init__(self, files: Files, folder: str, batch: int = 1) -> None:
        self._files, self._folder, self._batch = files, folder, batch
        self.records = Folder(
            files,
            folder,
            SuggestionRecord,
            r"[0-9]{6,}\.json",
            what="suggestion {}".format,
            then="will be suggested anew",
        )
        self._known: dict[str, dict[str, JSON]] = {}
        """What was read, by name: it stays as it is."""

    def all(self) -> list[dict[str, JSON]]:
        suggested: dict[str, dict[str, JSON]] = {}
        for values in self._whole().values():
            suggested.setdefault(canonical_json(values), values)
        return list(suggested.values())

    def _whole(self) -> dict[str, dict[str, JSON]]:
        """By name; those before the first that is damaged, or that is not there."""
        names = sorted(self.records.records())
        for place, name in enumerate(names):
            try:
                if name not in self._known:
                    self._known[name] = self._look(place, name).values
            except Damage as damage:
                first = place // self._batch * self._batch
                self._leave_out(names[first:], str(damage))
                names = names[:first]
                break
        return {name: self._known[name] for name in names}

    def _look(self, place: int, name: str) -> SuggestionRecord:
        record = self.records.look(name) if int(name.removesuffix(".json")) == place else None
        if record is None:
            raise Damage(f"{self._folder}/{place:06d}.json", "is missing")
        return record

    def _leave_out(self, names: Sequence[str], why: str) -> None:
        for name in names:
            self._known.pop(name, None)
        self.records.discard(names[0], why, names[1:])
        if self._files.heals and (stuck := sorted({*names} & {*self.records.records()})):
            raise StoreError(
                f"{self._files.url}: {why}, and it cannot be set aside: remove {self._folder}/{stuck[0]} and those "
                "after it to let the study suggest them anew"
            )

    def add(self, values: Mapping[str, JSON]) -> None:
        """At the end, unless it is there. Another run of the study may be adding, too: neither takes the other's place.

        Both may add the same at once: then it is there twice, and counts once.
        """
        if canonical_json(values) in map(canonical_json, self.all()):
            return
        place = len(self._whole())
        while not self._files.create_record(f"{self._folder}/{place:06d}.json", {"values": dict(values)}):
            place += 1


class Computed:
    """The keys of the stages that the study's own runs computed: it is charged with them, and found the others.

    The name of a record says it all, so none is read.
    """

    def __init__(self, files: Files, folder: str) -> None:
        self.records = Folder(
            files,
            folder,
            ComputedRecord,
            rf"{KEY}\.json",
            what="note of a stage {}".format,
            then="and written anew",
            anew=lambda key: {"key": key},
        )

    def all(self) -> frozenset[str]:
        return frozenset(name.removesuffix(".json") for name in self.records.records())

    def add(self, key: str) -> None:
        self.records.write(f"{key}.json", {"key": key})
