"""The note in the store that this run is in progress: what it is, who runs it where, and what it uses."""

from __future__ import annotations

import os
import platform
import shlex
import sys
import threading
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime

from assay.costs.availability import StageStatus
from assay.errors import StoreError
from assay.events import Event
from assay.execution.board import Board
from assay.home import Home, user_name
from assay.planning import Plan, studies_of
from assay.planning.passes import with_streamed
from assay.redaction import hide_secrets
from assay.store import RunningRecord, Store, StoredResult
from assay.store.running import LIFETIME_S, this_process
from assay.store.schema import BoardEntry
from assay.sweep import Sweep
from assay.text import first_line

BOARD_S = 5.0
"""How often the note shows what is new, for those who watch the run."""


class Heartbeat:
    """Renews the note until it is closed. A store that cannot be written costs a warning, not the run."""

    def __init__(self, sweep: Sweep, store: Store, home: Home, every_s: float = LIFETIME_S / 3) -> None:
        now = _now()
        self._store = store
        self._every_s = every_s
        self._record = RunningRecord(
            id=uuid.uuid4().hex,
            sweep=sweep.name,
            profile=sweep.profile,
            user=user_name(),
            host=platform.node(),
            pid=os.getpid(),
            process=this_process(),
            command=shlex.join(map(hide_secrets, sys.argv)),
            job=home.job,
            started=now,
            renewed=now,
        )
        self._board: Board | None = None
        self._has_news = False
        self._renewed = time.monotonic()
        self._ended = threading.Event()
        self._one_at_a_time = threading.Lock()
        self._thread = threading.Thread(target=self._keep_renewing, name="assay-heartbeat", daemon=True)

    @property
    def run(self) -> str:
        """The id of the note."""
        return self._record.id

    def uses(self, plan: Plan) -> None:
        """From now on, the note lists the stages and records of this plan. To be called before any of them is read."""
        parts = [part for _, part in with_streamed(plan.stages.values())]
        used = {
            "keys": sorted({part.key for part in parts}),
            "lineages": sorted({part.lineage for part in parts}),
            "studies": sorted(studies_of(plan.sweep, self._store)),
        }
        with self._one_at_a_time:
            self._record = self._record.model_copy(update=used)
        self._renew()
        if not self._thread.is_alive():
            self._thread.start()

    def begin(self, plan: Plan, before: Mapping[str, StageStatus], stored: Mapping[str, StoredResult]) -> None:
        """Begin the board that the note shows; again when the plan grew."""
        with self._one_at_a_time:
            self._board = Board(plan, before, stored, time.monotonic, self._board)
        self._renew()

    def event(self, event: Event) -> None:
        with self._one_at_a_time:
            if self._board is not None:
                self._board.event(event)
                self._has_news = True

    def close(self) -> None:
        """Remove the note, and those that killed runs left long ago."""
        if not self._thread.is_alive():
            return
        self._ended.set()
        self._thread.join()
        try:
            self._store.runs.remove(self._record.id)
            self._store.runs.remove_expired()
        except StoreError as error:
            self._tell(error)

    def _keep_renewing(self) -> None:
        while not self._ended.wait(min(self._every_s, BOARD_S)):
            if self._has_news or time.monotonic() - self._renewed >= self._every_s:
                self._renew()

    def _renew(self) -> None:
        with self._one_at_a_time:
            board = self._shown()
            self._record = record = self._record.model_copy(update={"renewed": _now(), "board": board})
            self._renewed, self._has_news = time.monotonic(), False
        try:
            self._store.runs.write(record)  # without the lock: events do not wait for a slow store
        except StoreError as error:
            self._tell(error)

    def _shown(self) -> BoardEntry | None:
        """The board; None if it cannot be shown, since the note matters more."""
        try:
            return None if self._board is None else self._board.entry()
        except Exception as error:
            self._store.files.tell_once("board", f"other commands cannot see this run's progress: {first_line(error)}")
            return None

    def _tell(self, error: StoreError) -> None:
        self._store.files.tell_once("running", f"other commands may not see that this run is in progress: {error}")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
