"""The live board: a header and one line per running stage. Finished stages scroll up above it."""

from __future__ import annotations

import math
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

from assay.costs.availability import StageStatus
from assay.execution import Event, Outcome
from assay.execution.board import Board, Note
from assay.planning import Plan
from assay.store.schema import BoardEntry, NoteEntry, RunningStageEntry
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
        if event.kind == "started" or event.by_another:
            self._activity = ""
        elif event.kind == "waiting":
            self._activity = event.message
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
        self._console.print(noted(note))

    def _render(self) -> RenderableType:
        if self._board is None:
            return Text()
        with self._lock:
            entry = self._board.entry()
        self._spinner.update(text=Text(self._activity or "waiting", style="dim"))
        below = [self._spinner] if self._activity or not entry.running else []
        return Group(rendered(entry), *below)


def rendered(board: BoardEntry) -> RenderableType:
    """A header, and a line per running stage."""
    line = Text.assemble(
        (board.sweep, "bold"), f"  {board.trials_done} of {plural(board.trials, 'trial')}", no_wrap=True
    )
    if board.trials_failed:
        line.append(f", {board.trials_failed} failed", style="red")
    line.append(f"  {clock(board.seconds)}")
    if board.left_s is not None:
        line.append(f", about {clock(board.left_s)} left")
    line.overflow = "ellipsis"
    return Group(line, *([_Rows(board)] if board.running else []))


def noted(note: Note | NoteEntry) -> Text:
    """A note as a line."""
    mark, style = MARKS[note.kind]
    line = Text.assemble((f"{mark} ", style), (note.text, "dim" if note.kind in ("cached", "noted") else ""))
    if note.detail:
        line.append(f"  {note.detail}", style="red" if note.kind == "failed" else "dim")
    return line


class _Rows:
    """One line per running stage, whatever the width."""

    def __init__(self, board: BoardEntry) -> None:
        self._board = board

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        is_narrow = options.max_width < NARROW
        grid = Table.grid(padding=(0, 1), expand=True)
        for ratio, justify in ((None, "left"), (2, "left"), (3, "left"), (None, "right"), (None, "right")):
            grid.add_column(ratio=ratio, justify=justify, no_wrap=True, overflow="ellipsis")  # type: ignore[arg-type]
        grid.add_column(justify="right", no_wrap=True)
        grid.add_column(justify="left", no_wrap=True, overflow="ellipsis")
        for stage in self._board.running:
            grid.add_row(*self._cells(stage, is_narrow))
        yield grid

    def _cells(self, stage: RunningStageEntry, is_narrow: bool) -> list[RenderableType]:
        count = f"{stage.done:,}/{stage.amount:,}" + ("" if is_narrow else f" {stage.unit}")
        value = math.nan if stage.value is None else float(stage.value)
        shown = "" if stage.metric is None else f"{value:.3g}" if is_narrow else f"{stage.metric} {value:.4g}"
        now = self._board.seconds
        return [
            Text(stage.name, style="bold"),
            Text(stage.trials, style="cyan"),
            ProgressBar(total=stage.amount, completed=stage.done, pulse=not stage.has_budget, animation_time=now),
            Text(count if stage.has_budget else clock(stage.seconds)),
            Text(_rate(stage), style="dim"),
            Text(clock(stage.left_s) if stage.left_s is not None else ""),
            Text(shown, style="dim"),
        ]


def _rate(stage: RunningStageEntry) -> str:
    """Until there is progress, a worker is starting, which takes seconds on Ray: the clock shows that it is alive."""
    if stage.rate is not None:
        return stage.rate
    has_begun = not stage.has_budget or stage.done > stage.begun_at
    return "" if has_begun else f"starting {clock(stage.seconds)}"
