"""The runs in progress: a record per driver, renewed while it runs and removed when it ends.

A driver that was killed leaves its record, which expires. The times are of the driver's clock.
"""

from __future__ import annotations

import os
import time
from datetime import datetime
from pathlib import Path

from assay.store.folders import KEY, Folder
from assay.store.records import Files
from assay.store.schema import RunningRecord
from assay.store.scratch import LEFT_ALONE_S

LIFETIME_S = 60.0
"""A run whose record is older than this no longer runs, or cannot reach the store."""

EXPIRY_S = 50.0
"""A run whose record does not change for as long is dead to those that watch it. A run renews it three times a
minute."""


class Runs:
    """The records of all runs that use a store."""

    def __init__(self, files: Files) -> None:
        self.records = Folder(files, "running", RunningRecord, rf"{KEY}\.json", what="note of a run {}".format)
        self._files = files

    def live(self, within_s: float = LIFETIME_S) -> list[RunningRecord]:
        """The runs that renewed their record within this time, the latest first."""
        alive = [record for record in self.records.all().values() if _age_s(record) < within_s]
        return sorted(alive, key=lambda record: record.started, reverse=True)

    def find(self, run: str) -> RunningRecord | None:
        """The record of a run, however old; None once it has ended."""
        return self.records.read(f"{run}.json")

    def write(self, record: RunningRecord) -> None:
        self.records.write(f"{record.id}.json", record.model_dump(mode="json"))

    def remove(self, run: str) -> None:
        self._files.remove(f"{self.records.path}/{run}.json")

    def remove_expired(self) -> None:
        """Remove the records that killed runs left more than a day ago."""
        for record in self.records.all().values():
            if is_forgotten(record):
                self.remove(record.id)


def is_forgotten(record: RunningRecord) -> bool:
    """Whether it was last renewed more than a day ago: no two clocks are a day apart."""
    return _age_s(record) >= LEFT_ALONE_S


def this_process() -> str:
    """A name that no other process ever has, on any machine; empty where the system does not say."""
    stat = _stat(os.getpid())
    return "" if stat is None else f"{_where()}/{os.getpid()}/{stat[1]}"


def has_ended(process: str) -> bool:
    """Whether a process of this machine is over; False if it is of another one, or if that is not known."""
    where, _, name = process.partition("/")
    if not name or where != _where():
        return False
    pid, started = name.split("/")
    stat = _stat(int(pid))
    return stat is None or stat[0] in "ZX" or stat[1] != started


def _where() -> str:
    """This machine since it booted, and the container whose numbers processes have."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}:{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _stat(pid: int) -> tuple[str, str] | None:
    """The state of a process of this machine, and when it began; None if there is no such process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return fields[0], fields[19]


def _age_s(record: RunningRecord) -> float:
    """Seconds since it was renewed, whichever clock is ahead."""
    return abs(time.time() - datetime.fromisoformat(record.renewed).timestamp())
