"""The decisions of a study's searcher and scheduler, and the stages it computed, so that the next run continues there.

Results are shared by every study with the same stage; these records belong to one study.
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
    """Decisions by the key of the rung's leaf. A damaged one is decided again."""

    def __init__(self, files: Files, folder: str) -> None:
        self.records = Folder(
            files, folder, DecisionRecord, r".+\.json", what="decision on {}".format, then="will be decided again"
        )

    def all(self) -> dict[str, Decision]:
        return {record.leaf: record.decision for record in self.records.all().values()}

    def add(self, leaf: str, decision: Decision) -> None:
        self.records.write(f"{leaf}.json", {"leaf": leaf, "decision": decision})

    def forget(self, leaf: str) -> None:
        self.records.remove(f"{leaf}.json")


class Suggestions:
    """The parameter values that were suggested, each once, in order.

    Each suggestion depends on those before it. So if one is damaged, everything from the start of its batch is
    suggested again: the same history gives the same suggestions, and their stored results are found.
    """

    def __init__(self, files: Files, folder: str, batch: int = 1) -> None:
        self._files, self._folder, self._batch = files, folder, batch
        self.records = Folder(
            files,
            folder,
            SuggestionRecord,
            r"[0-9]{6,}\.json",
            what="suggestion {}".format,
            then="will be suggested again",
        )
        self._known: dict[str, dict[str, JSON]] = {}
        """Records read so far, by name: they never change."""

    def all(self) -> list[dict[str, JSON]]:
        suggested: dict[str, dict[str, JSON]] = {}
        for values in self._whole().values():
            suggested.setdefault(canonical_json(values), values)
        return list(suggested.values())

    def _whole(self) -> dict[str, dict[str, JSON]]:
        """Values by name, up to the first record that is damaged or missing."""
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
                "after it, so that the study suggests them again"
            )

    def add(self, values: Mapping[str, JSON]) -> None:
        """Append the values unless they are there. Another run of the study may append at the same time, elsewhere.

        If both append the same values, they are stored twice and count once.
        """
        if canonical_json(values) in map(canonical_json, self.all()):
            return
        place = len(self._whole())
        while not self._files.create_record(f"{self._folder}/{place:06d}.json", {"values": dict(values)}):
            place += 1


class Computed:
    """The keys of the stages that this study's own runs computed, and is charged for; it found the others stored.

    The name of a record is the key, so no record is read. `facts`: what records say of the sweep besides.
    """

    def __init__(self, files: Files, folder: str, facts: Mapping[str, JSON] | None = None) -> None:
        self._facts = dict(facts or {})
        self.records = Folder(
            files,
            folder,
            ComputedRecord,
            rf"{KEY}\.json",
            what="note of a stage {}".format,
            then="and rewritten",
            rebuild=lambda key: {"key": key},
        )

    def all(self) -> frozenset[str]:
        return frozenset(name.removesuffix(".json") for name in self.records.records())

    def add(self, key: str) -> None:
        self.records.write(f"{key}.json", {"key": key, **self._facts})

    def author(self) -> tuple[str, str | None] | None:
        """The name and the profile of the sweep, as its records say; None in older stores."""
        records = (self.records.read(name) for name in self.records.records())
        return next(((each.sweep, each.profile) for each in records if each is not None and each.sweep), None)
