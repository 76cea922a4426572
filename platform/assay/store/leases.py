"""Which run computes what now, so that runs that share a store share its work: one computes, the others wait.

A lease is a record `leases/<lineage>-<slot>.json` that names a run, made by a write that fails if there is one. It
holds for as long as that run renews its note in `running/`. So nobody renews a lease, and a run that ends frees all of
its leases by removing one file. A slot that a killed run left is passed over: the next slot decides, and whoever gets
that one removes both in the end.

Leases save work; they do not protect results, whose keys and atomic commits do that. A run that was suspended for so
long that others took it for dead computes its stage a second time, and the first result stays.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from contextlib import suppress

from assay.errors import StoreError
from assay.store.damage import Damage
from assay.store.folders import KEY, Folder
from assay.store.io_errors import writing
from assay.store.records import Files
from assay.store.running import EXPIRY_S, Runs, has_ended, is_forgotten
from assay.store.schema import LeaseRecord, RunningRecord


def lease_records(files: Files) -> Folder[LeaseRecord]:
    return Folder(files, "leases", LeaseRecord, rf"{KEY}-[0-9]+\.json", what="lease {}".format, then="and free")


class Leases:
    """The leases that a run takes in one of its processes. Runs without an id, as of a script, take none.

    The clocks of two machines are never compared: another run is dead when its note has not changed for `expiry_s` of
    this process's own clock, or at once if its process was on this machine and is gone.
    """

    def __init__(
        self,
        files: Files,
        run: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        expiry_s: float = EXPIRY_S,
        has_ended: Callable[[str], bool] = has_ended,
    ) -> None:
        self.records = lease_records(files)
        self._files, self._run, self._clock, self._expiry_s, self._has_ended = files, run, clock, expiry_s, has_ended
        self._runs = Runs(files)
        self._slots: dict[str, int] = {}
        """Lineage → the slot that this process holds."""
        self._seen: dict[str, tuple[str, float]] = {}
        """Run → when it renewed its note by its clock, and when that was first seen by ours."""

    def take(self, lineages: Collection[str]) -> RunningRecord | None:
        """Take the leases of all lineages, or none. Returns None, or the run that holds one of them.

        A process that starts over gets what its run holds already. Nobody waits here, so nobody waits while holding.
        """
        if not self._run:
            return None
        wanted = sorted({*lineages} - self._slots.keys())
        for lineage in wanted:
            holder = self._take(lineage)
            if holder is not None:
                self.give_back(wanted[: wanted.index(lineage)])
                return holder
        return None

    def give_back(self, lineages: Collection[str]) -> None:
        """Free the leases, of any process of the run. A store that cannot be written costs a message: they end with the
        run anyway."""
        for lineage in lineages:
            slot = self._slots.pop(lineage, 0)
            try:
                while (run := self._holder(lineage, slot)) is not None and run != self._run:
                    slot += 1
                if run is not None:
                    self._remove(lineage, slot)
            except StoreError as error:
                self._files.tell_once("leases", f"other runs may wait until this one ends: {error}")

    def _take(self, lineage: str) -> RunningRecord | None:
        slot, content = 0, {"lineage": lineage, "run": self._run}
        while not self._files.create_record(self._path(lineage, slot), content, is_lasting=False):
            run = self._holder(lineage, slot)
            if run == self._run:
                break
            if run is None:
                continue  # given back meanwhile
            if (note := self._alive(run)) is not None:
                return note
            slot += 1
        self._slots[lineage] = slot
        return None

    def _holder(self, lineage: str, slot: int) -> str | None:
        """The run that a slot names; None if it is free, and an empty name if its record is damaged."""
        try:
            record = self.records.look(f"{lineage}-{slot}.json")
        except Damage:
            return ""
        return None if record is None else record.run

    def _alive(self, run: str) -> RunningRecord | None:
        """The note of a run, unless it ended or was killed."""
        note = self._runs.find(run) if run else None
        if note is None or is_forgotten(note) or self._has_ended(note.process):
            return None
        renewed, since = self._seen.get(run, ("", 0.0))
        if renewed != note.renewed:
            self._seen[run] = note.renewed, self._clock()
        elif self._clock() - since >= self._expiry_s:
            return None
        return note

    def _remove(self, lineage: str, slot: int) -> None:
        """The lowest slots first: whoever looks meanwhile finds a free one, or one that a living run holds."""
        for each in range(slot + 1):
            with writing(self._files.url), suppress(FileNotFoundError):
                self._files.fs.rm_file(self._files.at(self._path(lineage, each)))

    def _path(self, lineage: str, slot: int) -> str:
        return f"{self.records.path}/{lineage}-{slot}.json"
