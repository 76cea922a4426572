"""`assay sync`: rebuild MLflow's view from the store. Computes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from assay.cli.exits import EXIT_COULD_NOT
from assay.cli.names import open_sweep, report_folder
from assay.cli.output import console, print_json, read_only_store
from assay.costs.priced_metrics import priced
from assay.errors import UserError
from assay.home import Home
from assay.planning import computed_of, make_plan
from assay.redaction import hide_secrets
from assay.report import PAGE, cannot_write, earlier_failures, write
from assay.report.report_file import reports
from assay.results import Outcome, from_store
from assay.settings import rates_of
from assay.sweep import Sweep
from assay.text import plural, relative


def sync_sweeps(names: Sequence[str], profile: str | None, sets: Sequence[str], is_json: bool) -> int:
    """Log the named sweeps to MLflow, or all with a report here. Returns the exit code."""
    home = Home.default()
    synced: dict[str, int] = {}
    problems: dict[str, str] = {}
    sweeps = [open_sweep(name, profile, sets) for name in names] if names else list(_reported(home, problems))
    for sweep in sweeps:
        label = f"{sweep.name} ({sweep.profile})" if sweep.profile else sweep.name
        outcome, problem = _sync(home, sweep)
        if problem is not None:
            problems[label] = problem
        else:
            synced[label] = len(outcome.trials)
    if is_json:
        print_json({"tracking_uri": hide_secrets(home.tracking_uri), "synced": synced, "troubles": problems})
        return EXIT_COULD_NOT if problems else 0
    out = console()
    for label, count in synced.items():
        out.print(f"{label}: {plural(count, 'trial')} in MLflow", soft_wrap=True)
    for label, problem in problems.items():
        out.print(f"{label}: {problem}", soft_wrap=True, style="red")
    if not synced and not problems:
        out.print(f"No sweep has a report in {relative(home.root)} yet. Name one: assay sync SWEEP", soft_wrap=True)
    return EXIT_COULD_NOT if problems else 0


def _sync(home: Home, sweep: Sweep) -> tuple[Outcome, str | None]:
    """Sync one sweep; the text is the error if MLflow could not be written to."""
    from assay.tracking import Tracker

    store, folder = read_only_store(home), report_folder(home, sweep)
    plan, computed = make_plan(sweep, store), computed_of(sweep, store).all()
    trials = from_store(plan, store, computed, earlier_failures(folder))
    is_whole = plan.needed.keys() <= {key for trial in trials for key in trial.results}
    outcome = Outcome(plan, trials, paused=None if is_whole else "not finished")
    warnings: list[str] = []
    if not (folder / PAGE).is_file():
        try:
            write(plan, outcome.trials, folder, computed, priced(plan, store), rates_of(home))
        except OSError as error:
            warnings.append(str(cannot_write(folder, error)))
    Tracker(home, warnings.append).end(outcome, folder)
    return outcome, warnings[0] if warnings else None


def _reported(home: Home, problems: dict[str, str]) -> Iterator[Sweep]:
    """The sweeps with a report here, as they were run."""
    for folder, report in reports(home):
        if isinstance(report, UserError):
            problems[folder.name] = str(report)
            continue
        try:
            yield open_sweep(report.file, report.profile, report.sets)
        except UserError as error:  # the sweep file has moved, or is wrong now
            problems[folder.name] = f"{error}\nRun this where the sweep was run, or give its file: assay sync SWEEP"
