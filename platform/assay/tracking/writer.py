"""The thread that writes to MLflow. Its errors reach the caller only as one line of text."""

from __future__ import annotations

import math
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator

from assay.home import Home
from assay.redaction import hide_secrets, printable
from assay.store.io_errors import no_room
from assay.text import first_line
from assay.tracking.patience import Patience
from assay.tracking.registry import NoRegistry

Task = Callable[[], None]
PAUSE_S = 60.0
"""How long nothing is tried after an error; the end of a run is always tried."""
POLL_S = 0.5
BUILT_AGAIN = "move the file away, and `assay sync` rebuilds it from the store"
ADVICE = {
    sqlite3.SQLITE_BUSY: "another program has locked it; when it has finished, run `assay sync` to show them there",
    sqlite3.SQLITE_LOCKED: "another program has locked it; when it has finished, run `assay sync` to show them there",
    sqlite3.SQLITE_NOTADB: BUILT_AGAIN,
    sqlite3.SQLITE_CORRUPT: BUILT_AGAIN,
    sqlite3.SQLITE_READONLY: "make it writable, then run `assay sync` to show them there",
    sqlite3.SQLITE_CANTOPEN: "make it a writable file in a writable folder, then run `assay sync` to show them there",
}
"""SQLite's error code → what to do so that MLflow shows the results."""
OTHERWISE = "when MLflow answers again, run `assay sync` to show them there"


class Writer:
    """Runs tasks one after the other. `problem` is the first error and what to do about it, in one line."""

    def __init__(self, home: Home) -> None:
        self.patience = Patience()
        self.problem: str | None = None
        self._home = home
        self._queue: queue.Queue[Task | None] = queue.Queue()
        self._quiet_until = 0.0
        self._is_given_up = False
        self._thread = threading.Thread(target=self._work, name="assay-tracking", daemon=True)
        self._thread.start()

    def put(self, task: Task, *, always: bool = False) -> None:
        def guarded() -> None:
            if always or time.monotonic() >= self._quiet_until:
                task()

        self._queue.put(guarded)

    @property
    def is_free(self) -> bool:
        """Whether no task waits."""
        return self._queue.empty()

    def finish(self, most_s: float = math.inf) -> None:
        """Wait until everything is written, MLflow stops answering, or `most_s` seconds are over."""
        self._queue.put(None)
        self.patience.renew()
        until = time.monotonic() + most_s
        while self._thread.is_alive():
            remaining = min(self.patience.left, until - time.monotonic())
            if remaining <= 0:
                self._is_given_up = True  # the daemon thread ends with us, or when the hanging call returns
                self.problem = self.problem or in_words(self._home, _silence(min(self.patience.seconds, most_s)))
                return
            self._thread.join(min(remaining, POLL_S))

    def _work(self) -> None:
        while (task := self._queue.get()) is not None and not self._is_given_up:
            try:
                task()
            except Exception as error:  # MLflow, its database and its server may raise anything
                self._quiet_until = time.monotonic() + PAUSE_S
                self.problem = self.problem or in_words(self._home, error)


def in_words(home: Home, error: Exception) -> str:
    """What is wrong with MLflow and what to do about it, in one line without secrets."""
    where = f"MLflow at {hide_secrets(home.tracking_uri)}"
    first, causes = first_line(error, with_type=True), list(_causes(error))
    if isinstance(error, NoRegistry):
        text = f"{where} did not register the best model: {error}. Everything else is shown there"
    elif any(_is_full(cause) for cause in causes):
        text = f"{where} is full: {first}. Free some space; finished work is kept, and `assay sync` shows it there"
    else:
        codes = [cause.sqlite_errorcode & 0xFF for cause in causes if hasattr(cause, "sqlite_errorcode")]
        advice = next((ADVICE[code] for code in codes if code in ADVICE), OTHERWISE)
        if "database schema" in first or any(type(cause).__module__.startswith("alembic") for cause in causes):
            advice = f"it was created by another version of MLflow: use that one, or {BUILT_AGAIN}"
        text = f"{where} could not be written to: {first}. The results are stored; {advice}"
    return printable(text, is_line=True)


def _silence(seconds: float) -> Exception:
    return TimeoutError(f"no answer for {seconds:.0f} s")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and its causes; SQLAlchemy keeps the original in `orig`."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        orig = getattr(error, "orig", None)
        error = orig if isinstance(orig, BaseException) else error.__cause__ or error.__context__


def _is_full(error: BaseException) -> bool:
    if isinstance(error, sqlite3.Error):
        # Exceeding the file size limit (ulimit -f) surfaces as a write error in SQLite.
        names = ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_TRUNCATE")
        return getattr(error, "sqlite_errorname", None) in names
    return no_room(error) is not None
