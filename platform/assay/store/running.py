"""The runs in progress: a record per driver, renewed while it runs and removed when it ends.

A driver that was killed leaves its record, which expires. The times are of the driver's clock.
"""

from __future__ import annotations

import time
from datetime import datetime

from assay.store.folders import KEY, Folder
from assay.store.records import Files
from assay.store.schema import RunningRecord
from assay.store.scratch import LEFT_ALONE_S

LIFETIME_S = 60.0
"""A run whose record is older than this no longer runs, or cannot reach the store."""


class Runs:
    """The records of all runs that use a store."""

    def __init__(self, files: Files) -> None:
        self.records = Folder(files, "running", RunningRecord, rf"{KEY}\.json", what="note of a run {}".format)
        self._files = files

    def live(self, within_s: float = LIFETIME_S) -> list[RunningRecord]:
        """The runs that renewed their record within this time, the latest first."""
        alive = [record for record in self.records.all().values() if _age_s(record) < within_s]
        return sorted(alive, key=lambda record: record.started, reverse=True)

    def write(self, record: RunningRecord) -> None:
        self.records.write(f"{record.id}.json", record.model_dump(mode="json"))

    def remove(self, run: str) -> None:
        self._files.remove(f"{self.records.path}/{run}.json")

    def remove_expired(self) -> None:
        """Remove the records that killed runs left more than a day ago."""
        for record in self.records.all().values():
            if _age_s(record) >= LEFT_ALONE_S:
                self.remove(record.id)


def _age_s(record: RunningRecord) -> float:
    """Seconds since it was renewed, whichever clock is ahead."""
    return abs(time.time() - datetime.fromisoformat(record.renewed).timestamp())
