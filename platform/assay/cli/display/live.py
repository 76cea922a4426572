"""The live board: a header and one line per running stage. Finished stages scroll up above it."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from assay.cli.display.board import Board, Note, Running
from assay.costs.availability import StageStatus
from assay.execution import Event, Outcome
from assay.planning import Plan
from assay.text import clock, plural

if TYPE_CHECKING:
    from assay.store import StoredResult

MARKS = {
    "noted": ("·", "dim"),
    "finished": ("✓", "green"),
    "failed": ("✗", "bold red"),
    "warning": ("!", "yellow"),
    "cached": ("✓", "dim"),
}
NARROW = 100
"""Columns. Below this, bars are short, and units and losses are abbreviated."""
REFRESH_HZ = 4


class LiveDisplay:
    """A listener of a run."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._board: Board | None = None
        self._live: Live | None = None
        self._lock = threading.Lock()
        self._activity = "starting"
        self._spinner = Spinner("dots")

    def begin(self, plan: Plan, before: Mapping[str, StageStatus], stored: Mapping[str, StoredResult]) -> None:
        self.close()  # a plan that grew starts a new board
        self._board = Board(plan, before, stored, time.monotonic)
        self._live = Live(
            console=self._console, get_renderable=self._render, refresh_per_second=REFRESH_HZ, transient=True
        )
        self._live.start()
        if (note := self._board.cached()) is not None:
            self._tell(note)

    def event(self, event: Event) -> None:
        if event.kind == "started":
            self._activity = ""
        with self._lock:
            note = self._board.event(event) if self._board else Note("warning", event.message)
        if note is not None and note.kind != "started":
            self._tell(note)

    def end(self, outcome: Outcome) -> None:
        self.close()

    def say(self, activity: str) -> None:
        """Show what happens besides the stages. Only sets a string: a signal handler may call it."""
        self._activity = activity

    def close(self) -> None:
        """Restore the terminal, keeping the notes. May be called twice."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _tell(self, note: Note) -> None:
        mark, style = MARKS[note.kind]
        line = Text.assemble((f"{mark} ", style), (note.text, "dim" if note.kind in ("cached", "noted") else ""))
        if note.detail:
            line.append(f"  {note.detail}", style="red" if note.kind == "failed" else "dim")
        self._console.print(line)

    def _render(self) -> RenderableType:
        if self._board is None:
            return Text()
        with self._lock:
            rows = _Rows(list(self._board.running.values()), self._board.clock())
            header = self._header(self._board)
        self._spinner.update(text=Text(self._activity or "waiting", style="dim"))
        below = [self._spinner] if self._activity or not rows.stages else []
        return Group(header, *([rows] if rows.stages else []), *below)

    def _header(self, board: Board) -> RenderableType:
        done, failed, total = board.trials()
        line = Text.assemble((board.plan.sweep.name, "bold"), f"  {done} of {plural(total, 'trial')}", no_wrap=True)
        if failed:
            line.append(f", {failed} failed", style="red")
        line.append(f"  {clock(board.elapsed_s())}")
        left = board.left_s()
        if left is not None:
            line.append(f", about {clock(left)} left")
        line.overflow = "ellipsis"
        return line


class _Rows:
    """One line per running stage, whatever the width."""

    def __init__(self, stages: list[Running], now: float) -> None:
        self.stages = stages
        self.now = now

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        is_narrow = options.max_width < NARROW
        grid = Table.grid(padding=(0, 1), expand=True)
        for ratio, justify in ((None, "left"), (2, "left"), (3, "left"), (None, "right"), (None, "right")):
            grid.add_column(ratio=ratio, justify=justify, no_wrap=True, overflow="ellipsis")  # type: ignore[arg-type]
        grid.add_column(justify="right", no_wrap=True)
        grid.add_column(justify="left", no_wrap=True, overflow="ellipsis")
        for running in self.stages:
            grid.add_row(*self._cells(running, is_narrow))
        yield grid

    def _cells(self, running: Running, is_narrow: bool) -> list[RenderableType]:
        stage, pace = running.stage, running.pace
        per_second, left = pace.rate(self.now), pace.left_s(self.now)
        has_bar = stage.budget is not None
        count = f"{pace.done:,}/{stage.amount:,}" + ("" if is_narrow else f" {stage.unit}")
        leading = running.leading
        shown = "" if leading is None else f"{leading[1]:.3g}" if is_narrow else f"{leading[0]} {leading[1]:.4g}"
        return [
            Text(stage.name, style="bold"),
            Text(running.arms, style="cyan"),
            ProgressBar(total=stage.amount, completed=pace.done, pulse=not has_bar, animation_time=self.now),
            Text(count if has_bar else clock(self.now - running.since)),
            Text(_rate(running, per_second, self.now), style="dim"),
            Text(clock(left) if left is not None else ""),
            Text(shown, style="dim"),
        ]


def _rate(running: Running, per_second: float | None, now: float) -> str:
    """Until there is progress, a worker is starting, which takes seconds on Ray: the clock shows that it is alive."""
    if per_second is not None:
        return running.rate(per_second)
    has_begun = running.stage.budget is None or running.pace.done > running.begun_at
    return "" if has_begun else f"starting {clock(now - running.since)}"
