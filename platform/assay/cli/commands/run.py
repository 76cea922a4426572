"""`assay run`: run a sweep and print its table, with a display, MLflow and a report listening."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from assay.cli.commands.rows import Rows
from assay.cli.display import LiveDisplay, PlainDisplay
from assay.cli.exits import EXIT_INTERRUPTED, EXIT_PAUSED, EXIT_TRIAL_FAILED, report_error, report_lost_output
from assay.cli.names import command_line, open_sweep, program, report_folder
from assay.cli.output import console, data_remarks_printed, print_json
from assay.cli.streams import continuing_without_stdout
from assay.costs.availability import StageStatus
from assay.costs.priced_metrics import priced
from assay.errors import AssayError, refuse_unless
from assay.execution import Event, Listener, Outcome, Pause
from assay.execution.engine import StalePolicy
from assay.execution.executors import EXECUTORS
from assay.home import Home
from assay.planning import Plan, computed_of, make_plan
from assay.redaction import printable
from assay.report import Written, as_json, as_rich, cannot_write, write
from assay.report.tables.grids import Terminal
from assay.results import Table, table
from assay.settings import rates_of
from assay.store import Store
from assay.sweep import Sweep
from assay.text import relative

if TYPE_CHECKING:
    from assay.store import StoredResult
    from assay.tracking import Tracker

Display = LiveDisplay | PlainDisplay
STOPPED = "stopped"
"""Why a run paused, if its user asked for it."""


class _Publisher:
    """The listener that writes the report and passes it to the tracker."""

    def __init__(self, home: Home, sweep: Sweep, display: Display) -> None:
        self._folder = report_folder(home, sweep)
        self._store = Store(home.store_url, heals=False)
        self._rates = rates_of(home)
        self._display = display
        self.tracker: Tracker | None = None
        self.written: Written | None = None
        self.failure: AssayError | None = None
        """Why nothing is written."""

    def begin(self, plan: Plan, before: dict[str, StageStatus], stored: dict[str, StoredResult]) -> None:
        if self.tracker is not None:
            self.tracker.begin(plan, before, stored)

    def event(self, event: Event) -> None:
        if self.tracker is not None:
            self.tracker.event(event)

    def end(self, outcome: Outcome) -> None:
        self._display.say("writing the report")
        try:
            plan, computed = outcome.plan, computed_of(outcome.plan.sweep, self._store).all()
            by_ledger = priced(plan, self._store)
            self.written = write(plan, outcome.trials, self._folder, computed, by_ledger, self._rates)
        except OSError as error:
            self.failure = cannot_write(self._folder, error)
        if self.tracker is not None:
            self._display.say("updating MLflow")
            self.tracker.end(outcome, self._folder)

    def abort(self) -> None:
        if self.tracker is not None:
            self.tracker.abort()


def run_sweep(
    name: str,
    profile: str | None,
    sets: Sequence[str],
    *,
    executor: str,
    address: str | None,
    with_tracking: bool,
    plain: bool,
    with_rows: bool,
    is_json: bool,
    verifies_data: bool = False,
    stale: str | None = None,
) -> int:
    """Run a sweep in the foreground; returns the exit code."""
    import assay

    refuse_unless("--executor", executor, EXECUTORS.names())
    if stale is not None:
        refuse_unless("--stale", stale, get_args(StalePolicy))
    home = Home.default()
    with data_remarks_printed(verifies_data):
        plan = make_plan(open_sweep(name, profile, sets), Store(home.store_url, heals=False))
    is_in_process = EXECUTORS[executor].is_in_process
    display = _display(plain or is_in_process, is_json)  # a debugger needs the terminal to itself
    publisher = _Publisher(home, plan.sweep, display)
    listeners: list[Listener] = [publisher, display]
    if with_rows:
        listeners.append(Rows(sys.stderr if is_json else sys.stdout, home))
    if with_tracking:
        from assay.tracking import Tracker

        publisher.tracker = Tracker(home, lambda message: display.event(Event("warning", message=message)))
    pause = Pause()
    try:
        with _interrupts_handled(display, pause), continuing_without_stdout(partial(_ends_unread, pause)) as out:
            outcome = assay.run(
                plan, home, executor=executor, address=address, listeners=listeners, pause=pause, stale=stale
            )
    except KeyboardInterrupt:
        display.close()
        publisher.abort()
        return _stopped()
    except Exception:
        display.close()
        publisher.abort()  # leave no run RUNNING in MLflow, whatever went wrong
        raise
    finally:
        display.close()
    if out is not None and out.failure is not None:
        return report_lost_output(out.failure, "; the results are stored, and `assay compare` prints their table")
    if outcome.paused == STOPPED:
        return _stopped()
    if publisher.failure is not None:
        _print_table(table(outcome.plan, outcome.trials), is_json)
        return report_error(publisher.failure)
    assert publisher.written is not None
    log = home.ray_log(plan.sweep.name, plan.sweep.profile)
    has_log = not is_in_process and bool(outcome.computed or outcome.failed) and log.is_file()
    _print_result(publisher.written, outcome, with_tracking, is_json, log if has_log else None)
    if outcome.paused is not None:
        print(printable(f"Paused: {outcome.paused}"), file=sys.stderr)
    return EXIT_TRIAL_FAILED if outcome.failed else EXIT_PAUSED if outcome.paused else 0


def _ends_unread(pause: Pause, error: OSError) -> None:
    """If nobody reads the output any more, as with `| head`, save and stop. If the disk of a log is full, carry on."""
    if isinstance(error, BrokenPipeError):
        pause.ask(STOPPED)


def _stopped() -> int:
    print("\nStopped. Finished stages, checkpoints and shards are stored and safe.", file=sys.stderr)
    print(f"To resume: {command_line()}", file=sys.stderr)
    return EXIT_INTERRUPTED


@contextmanager
def _interrupts_handled(display: Display, pause: Pause) -> Iterator[None]:
    """On Ctrl-C or SIGTERM, trainings save checkpoints and the run returns; the second time it stops at once.

    The first is acknowledged immediately, since saving takes a moment. Signals are counted, not reasons to pause:
    Ctrl-C may come while trainings are already saving because of a limit.
    """
    is_first = True

    def interrupt(*_: object) -> None:
        nonlocal is_first
        was_first, is_first = is_first, False
        if not (pause.is_heard and was_first):
            display.say("stopping")
            raise KeyboardInterrupt
        verb = "stopping" if pause.reason is None else "stopping already"
        display.say(f"{verb}: saving checkpoints; press Ctrl-C again to stop immediately")
        pause.ask(STOPPED)  # if it is already pausing, the first reason stays

    ours = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    # Leave signals that others handle, or ignore as nohup does.
    replaced = {number: before for number, before in ours.items() if signal.getsignal(number) is before}
    for number in replaced:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, before in replaced.items():
            signal.signal(number, before)


def _display(plain: bool, is_json: bool) -> Display:
    """On stdout, unless that is for JSON."""
    out = sys.stderr if is_json else sys.stdout
    if plain or not out.isatty():
        return PlainDisplay(out)
    return LiveDisplay(Terminal(file=out))


def _print_result(written: Written, outcome: Outcome, with_tracking: bool, is_json: bool, ray_log: Path | None) -> None:
    if is_json:
        print_json(_as_json(written) | {"computed": len(outcome.computed), "run_seconds": outcome.seconds})
        return
    out = console()
    out.print()
    out.print(as_rich(written.table), crop=False)
    out.print()
    out.print(f"report:  {relative(written.page)}", soft_wrap=True)
    for picture in written.pictures:
        out.print(f"picture: {relative(picture)}", soft_wrap=True)
    out.print(
        f"tables:  {relative(written.folder / 'table.csv')}, {relative(written.folder / 'table.md')}", soft_wrap=True
    )
    if ray_log is not None:
        out.print(f"Ray:     its log is in {relative(ray_log)}", soft_wrap=True)
    if with_tracking:
        out.print(f"MLflow:  {program()} ui", soft_wrap=True)


def _print_table(table: Table, is_json: bool) -> None:
    """Print only the table, if no report could be written."""
    if is_json:
        print_json(as_json(table))
    else:
        console().print(as_rich(table), crop=False)


def _as_json(written: Written) -> dict[str, Any]:
    return {
        **as_json(written.table),
        "report": str(written.folder),
        "page": str(written.page),
        "pictures": [str(picture) for picture in written.pictures],
    }
