"""`assay watch`: the live board of a run that another terminal, or a cluster's job, computes.

Everything shown is from the note that the run keeps in its store. So watching costs the run nothing, and any number of
people may come and go.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from assay.cli.commands.ls import ago, run_json
from assay.cli.commands.show import JOB
from assay.cli.display.live import MARKS, REFRESH_HZ, noted, rendered
from assay.cli.exits import EXIT_INTERRUPTED
from assay.cli.names import command_line, open_sweep, program
from assay.cli.output import console, print_json, read_only_store
from assay.errors import AssayError, StoreError, UserError
from assay.home import Home
from assay.store import RunningRecord, Store
from assay.store.running import LIFETIME_S
from assay.store.schema import NoteEntry
from assay.sweep_files import SUFFIXES
from assay.text import clock

if TYPE_CHECKING:
    from assay.client import About, Job

POLL_S = 1.0
PLAIN_S = 10.0
"""How often the board is printed where no terminal shows it."""
QUIET_S = 30.0
"""Without a sign of life for so long, the header says so."""
BEGINNING_S = 60.0
"""How long a job may take until its store is there."""
FORGOTTEN_S = 7 * 86_400.0
"""Runs that were killed within this time are told of."""


@dataclass(frozen=True)
class Watched:
    """What is watched: the store with its note, and how to recognise it there."""

    store: Store
    is_it: Callable[[RunningRecord], bool]
    name: str
    job: Job | None = None

    def notes(self, within_s: float = LIFETIME_S) -> list[RunningRecord]:
        """The notes of the runs that it may be, the latest first."""
        return [run for run in self.store.running(within_s) if self.is_it(run)]

    def end(self, run: RunningRecord | None) -> int:
        """Say that it has ended, and how; returns the exit code."""
        if self.job is not None:
            from assay.cli.commands.jobs import report_end

            self.job.wait()
            print(f"{self.name} has ended; see: {program()} show {self.name}", file=sys.stderr)
            return report_end(self.job)
        assert run is not None
        profile = f" --profile {run.profile}" if run.profile else ""
        print(f"{_name(run)} has ended; see: {program()} compare {run.sweep}{profile}", file=sys.stderr)
        return 0


def watch(what: str | None, profile: str | None, *, address: str | None, is_once: bool, is_json: bool) -> int:
    """Show a run until it ends or the user leaves; returns the exit code."""
    here = None if what is not None and JOB.fullmatch(what) else _of_sweep(what, profile)
    watched: Watched | Job
    if here is None or (what is not None and address is not None and not here.notes()):
        watched = _of_job(str(what), address)  # the beginning of its id will do, such as its sweep's name
    else:
        watched = here
    if isinstance(watched, Watched):
        if what is None and is_once and is_json:
            print_json([run_json(each) for each in watched.notes()])
            return 0
        run = _only(watched, is_once)
        if run is None:
            return watched.end(None)
        if is_once:
            print_json(run_json(run)) if is_json else console().print(_board(run, with_notes=True))
            return 0
        try:
            _watch(watched, run, is_json)
        except KeyboardInterrupt:
            print(f"\n{_name(run)} keeps running; to watch it again: {command_line()}", file=sys.stderr)
            return EXIT_INTERRUPTED
        return watched.end(run)
    store = watched.about().store or "its store"
    if is_once or is_json:
        raise UserError(f"{watched.id}: {store} cannot be read from here; see: {program()} show {watched.id}")
    print(f"{store} cannot be read from here; following the log of {watched.id}", file=sys.stderr)
    from assay.cli.commands.jobs import follow_log

    return follow_log(watched, address)


# Finding it


def _of_sweep(what: str | None, profile: str | None) -> Watched:
    """A run in the store of this shell's settings: of a sweep, or with an id."""
    name = open_sweep(what, None, []).name if what is not None and Path(what).suffix in SUFFIXES else what

    def is_it(run: RunningRecord) -> bool:
        is_named = name is None or run.sweep == name or run.id.startswith(name)
        return is_named and (profile is None or run.profile == profile)

    return Watched(read_only_store(Home.default()), is_it, name or "a run")


def _of_job(job_id: str, address: str | None) -> Watched | Job:
    """A job's run; the job itself if the store that it writes to cannot be read from here."""
    from assay.cli.commands.jobs import connect  # imports Ray

    job = connect(address).job(job_id)
    store = Store(job.about().store or Home.default().store_url, heals=False)
    while not (is_there := _can_be_read(store)) and _has_just_begun(job.about()):
        time.sleep(POLL_S)  # the first run with a store makes its folder
    return Watched(store, lambda run: run.job == job.id, job.id, job) if is_there else job


def _can_be_read(store: Store) -> bool:
    """Whether the store is here, and not a folder of other machines."""
    try:
        store.running()
    except StoreError:
        return False
    return not store.files.is_local or Path(store.url).is_dir()


def _has_just_begun(about: About) -> bool:
    begun = about.started or datetime.now(UTC)
    return about.ended is None and (datetime.now(UTC) - begun).total_seconds() < BEGINNING_S


def _only(watched: Watched, is_once: bool) -> RunningRecord | None:
    """The run to watch, waiting for a job that has not begun; None for a job that has ended. Raises UserError if there
    is none, or several."""
    while watched.job is not None and not is_once and not watched.notes():
        if watched.job.about().ended is not None:
            return None
        time.sleep(POLL_S)
    runs = watched.notes()
    if not runs:
        raise UserError(_nothing(watched))
    if len(runs) > 1:
        shown = "; ".join(f"{_name(run)} ({run.id[:8]}, {run.user} on {run.host})" for run in runs)
        raise UserError(f"{len(runs)} runs are in progress: {shown}; name one: {program()} watch SWEEP, or its id")
    return runs[0]


def _nothing(watched: Watched) -> str:
    others = ", ".join(_name(run) for run in watched.store.running()) or "nothing"
    last = f" {_last_heard(killed[0])}" if (killed := watched.notes(FORGOTTEN_S)) else ""
    return f"{watched.name} is not running in {watched.store.url}; what runs there: {others}.{last}"


def _last_heard(run: RunningRecord) -> str:
    return f"It was last heard of {ago(run.renewed)} on {run.host}; rerun its command to resume: {run.command}."


def _name(run: RunningRecord) -> str:
    return f"{run.sweep} ({run.profile})" if run.profile else run.sweep


# Showing it


def _watch(watched: Watched, run: RunningRecord, is_json: bool) -> None:
    """Until it ends. Raises AssayError if it was killed."""
    out = console()
    last = -1
    if is_json:
        shown = None
        for each in _renewed(watched, run):
            if each.board != shown:
                shown = each.board
                print_json(run_json(each))
                sys.stdout.flush()
        return
    if not sys.stdout.isatty():
        printed = -PLAIN_S
        for each in _renewed(watched, run):
            last = _print_notes(out.print, each, last)
            if time.monotonic() - printed >= PLAIN_S:
                printed = time.monotonic()
                out.print(_board(each))
                sys.stdout.flush()
        return
    with Live(console=out, refresh_per_second=REFRESH_HZ, transient=True) as live:
        for each in _renewed(watched, run):
            last = _print_notes(out.print, each, last)
            live.update(_board(each))


def _renewed(watched: Watched, run: RunningRecord) -> Iterator[RunningRecord]:
    """The run's note, again and again, until it is removed at the run's end.

    A run that was killed leaves its note. Of a job, the cluster says how it ended; otherwise raises AssayError.
    """
    while True:
        yield run
        time.sleep(POLL_S)
        same = [each for each in watched.notes(math.inf) if each.id == run.id]
        if not same:
            return
        run = same[0]
        if _silence_s(run) >= LIFETIME_S:
            if watched.job is not None:
                return
            cause = f"it was killed, or cannot reach {watched.store.url}"
            raise AssayError(f"{_name(run)} is no longer heard of: {cause}. {_last_heard(run)}")


def _print_notes(tell: Callable[[RenderableType], None], run: RunningRecord, last: int) -> int:
    """Print what happened since the note of number `last`; returns the number of the latest."""
    for note in _notes(run):
        if note.number > last:
            tell(noted(note))
            last = note.number
    return last


def _notes(run: RunningRecord) -> list[NoteEntry]:
    """What happened last. What started is on the board."""
    return [note for note in run.board.notes if note.kind in MARKS] if run.board is not None else []


def _board(run: RunningRecord, *, with_notes: bool = False) -> RenderableType:
    silence_s = _silence_s(run)
    where = f"{run.user} on {run.host}" + (f", job {run.job}" if run.job else "")
    head = Text(f"{where}, since {_clock_time(run.started)}", style="dim", no_wrap=True, overflow="ellipsis")
    if silence_s > QUIET_S:
        head.append(f"; no sign of life for {clock(silence_s)}", style="yellow")
    if run.board is None:
        return Group(head, Text(f"{_name(run)}  starting"))
    notes: Sequence[RenderableType] = [noted(note) for note in _notes(run)] if with_notes else []
    return Group(*notes, head, rendered(run.board))


def _silence_s(run: RunningRecord) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(run.renewed)).total_seconds()


def _clock_time(moment: str) -> str:
    return f"{datetime.fromisoformat(moment).astimezone():%Y-%m-%d %H:%M}"
