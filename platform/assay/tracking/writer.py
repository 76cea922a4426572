"""The thread that writes to MLflow. Nothing that goes wrong there reaches who started it, but as one line of text."""

from __future__ import annotations

import math
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator

from assay.home import Home
from assay.store.io_errors import no_room
from assay.text import first_line, hide_secrets, printable
from assay.tracking.patience import Patience

Task = Callable[[], None]
PAUSE_S = 60.0
"""How long after trouble nothing is tried while the sweep goes on; the end is always tried."""
LOOK_S = 0.5
BUILT_AGAIN = "move the file aside, and `assay sync` makes it again from what is stored"
ADVICE = {
    sqlite3.SQLITE_BUSY: "another program holds it; when that is done, `assay sync` shows them there",
    sqlite3.SQLITE_LOCKED: "another program holds it; when that is done, `assay sync` shows them there",
    sqlite3.SQLITE_NOTADB: BUILT_AGAIN,
    sqlite3.SQLITE_CORRUPT: BUILT_AGAIN,
    sqlite3.SQLITE_READONLY: "make it writable; then `assay sync` shows them there",
    sqlite3.SQLITE_CANTOPEN: "make it a writable file in a writable folder; then `assay sync` shows them there",
}
"""By what SQLite says: what to do so that MLflow shows the results."""
OTHERWISE = "when MLflow answers again, `assay sync` shows them there"


class Writer:
    """Works through tasks, one after the other. `trouble` is what went wrong first, and what to do, in one line."""

    def __init__(self, home: Home) -> None:
        self.patience = Patience()
        self.trouble: str | None = None
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

    def finish(self, most_s: float = math.inf) -> None:
        """Wait until all is written, MLflow stops answering, or `most_s` seconds are over."""
        self._queue.put(None)
        self.patience.renew()
        until = time.monotonic() + most_s
        while self._thread.is_alive():
            left = min(self.patience.left, until - time.monotonic())
            if left <= 0:
                self._is_given_up = True  # the thread is a daemon: it ends with us, or when the call that hangs does
                self.trouble = self.trouble or in_words(self._home, _silence(min(self.patience.seconds, most_s)))
                return
            self._thread.join(min(left, LOOK_S))

    def _work(self) -> None:
        while (task := self._queue.get()) is not None and not self._is_given_up:
            try:
                task()
            except Exception as error:  # the boundary: whatever MLflow, its database or its server raise
                self._quiet_until = time.monotonic() + PAUSE_S
                self.trouble = self.trouble or in_words(self._home, error)


def in_words(home: Home, error: Exception) -> str:
    """What is wrong with MLflow and what to do about it, in one line without secrets."""
    where = f"MLflow at {hide_secrets(home.tracking_uri)}"
    first, causes = first_line(error, with_type=True), list(_causes(error))
    if any(_is_full(cause) for cause in causes):
        told = f"{where} is full: {first}. Free some room; what is finished is kept, and `assay sync` shows it there"
    else:
        codes = [cause.sqlite_errorcode & 0xFF for cause in causes if hasattr(cause, "sqlite_errorcode")]
        advice = next((ADVICE[code] for code in codes if code in ADVICE), OTHERWISE)
        if "database schema" in first or any(type(cause).__module__.startswith("alembic") for cause in causes):
            advice = f"it was made by another version of MLflow: use that, or {BUILT_AGAIN}"
        told = f"{where} could not be written to: {first}. The results are stored; {advice}"
    return printable(told, is_line=True)


def _silence(seconds: float) -> Exception:
    return TimeoutError(f"no answer for {seconds:.0f} s")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it came from; SQLAlchemy keeps that in `orig`."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        orig = getattr(error, "orig", None)
        error = orig if isinstance(orig, BaseException) else error.__cause__ or error.__context__


def _is_full(error: BaseException) -> bool:
    if isinstance(error, sqlite3.Error):
        # A limit of the size of files ends in an error of writing: SQLite knows no other word for it.
        names = ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_TRUNCATE")
        return getattr(error, "sqlite_errorname", None) in names
    return no_room(error) is not None
