"""Progress as lines with a time: for logs, pipes and CI."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TextIO

from assay.costs.availability import StageStatus
from assay.execution import Event, Outcome
from assay.execution.board import Board, Note, Running
from assay.planning import Plan
from assay.redaction import printable
from assay.text import clock, plural

if TYPE_CHECKING:
    from assay.store import StoredResult

INTERVAL_S = 10.0
SHORT_S = 1.0
"""Stages shorter than this print no quarters."""
WORDS = {"started": "started", "finished": "done", "failed": "FAILED"}


class PlainDisplay:
    """A listener of a run. Prints a stage's progress at every quarter, and every ten seconds."""

    def __init__(self, out: TextIO, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._out = out
        self._monotonic = monotonic
        self._board: Board | None = None
        self._reported: dict[str, tuple[float, int]] = {}
        """Key → when a stage last printed, and at which quarter."""

    def begin(self, plan: Plan, before: Mapping[str, StageStatus], stored: Mapping[str, StoredResult]) -> None:
        self._board = Board(plan, before, stored, self._monotonic)
        self._print(f"{plan.sweep.name}: {plural(len(plan.trials), 'trial')}, {plural(len(plan.stages), 'stage')}")
        if (note := self._board.cached()) is not None:
            self._tell(note)

    def event(self, event: Event) -> None:
        if self._board is None:
            self._tell(Note("warning", event.message))
            return
        note = self._board.event(event)
        running = self._board.running.get(event.key)
        if note is not None:
            self._tell(note)
        if running is not None and event.kind == "started":
            self._reported[event.key] = self._monotonic(), _quarter(running)
        elif running is not None and event.kind == "progress":
            self._progress(running)

    def end(self, outcome: Outcome) -> None:
        self.close()

    def say(self, activity: str) -> None:
        self._print(activity)

    def close(self) -> None:
        self._out.flush()

    def _progress(self, running: Running) -> None:
        key, now, quarter = running.stage.key, self._monotonic(), _quarter(running)
        last_time, last_quarter = self._reported.get(key, (now, 0))
        self._reported.setdefault(key, (now, quarter))
        is_due = now - last_time >= (SHORT_S if quarter > last_quarter else INTERVAL_S)
        if quarter == 4 or not is_due:
            return
        self._reported[key] = now, quarter
        assert self._board is not None
        stage, pace = running.stage, running.pace
        parts = [f"{pace.done:,} of {stage.amount:,} {stage.unit}"]
        per_second, remaining = pace.rate(now), pace.left_s(now)
        if per_second is not None and remaining is not None:
            parts += [running.rate(per_second), f"{clock(remaining)} left"]
        if running.leading is not None:
            parts.append(f"{running.leading[0]} {running.leading[1]:.4g}")
        self._print(f"{self._board.title(stage)}: {', '.join(parts)}")

    def _tell(self, note: Note) -> None:
        if note.kind == "warning":
            self._print(f"warning: {note.text}")
        elif note.kind in ("cached", "noted"):
            self._print(f"{note.text}: {note.detail}")
        else:
            detail = f": {note.detail}" if note.detail else ""
            self._print(f"{note.text} {WORDS[note.kind]}{detail}")

    def _print(self, line: str) -> None:
        # Flushed, so that a log can be followed and a crash loses nothing.
        print(time.strftime("%m-%d %H:%M:%S"), printable(line), file=self._out, flush=True)


def _quarter(running: Running) -> int:
    return 4 * running.pace.done // max(1, running.stage.amount)
