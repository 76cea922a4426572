"""`assay submit`, `logs` and `stop`, and how `ls` and `show` present jobs."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from assay.cli.exits import EXIT_COULD_NOT, EXIT_INTERRUPTED
from assay.cli.names import open_sweep, program
from assay.cli.output import console, print_json
from assay.client import OVER, About, Client, Job
from assay.costs.devices import DeviceDays
from assay.errors import UserError
from assay.report.tables.grids import Grid
from assay.report.tables.listing import Column, Listing
from assay.results.log_rows import is_row
from assay.text import age, clock, plural

if TYPE_CHECKING:
    import pandas as pd

STYLES = {"SUCCEEDED": "green", "FAILED": "red", "STOPPED": "yellow", "RUNNING": "bold", "PENDING": ""}
NOT_FOUND = 127
"""The shell's exit code for an unknown command."""
NO_ASSAY = ": there is no `assay` on the PATH of the cluster's head; install it there, or use a container that has it"
LAST_WORDS = 5
WORDS = {
    "submitted": "Submitted as",
    "attached": "Already submitted and still running: attached to",
    "submitted again": "Submitted again, since the previous attempt is {before}; stored results are reused:",
}


def connect(address: str | None) -> Client:
    if address is None:
        raise UserError("no cluster given: use --address http://HEAD:8265, or set ASSAY_ADDRESS")
    return Client(address)


def submit_sweep(
    name: str,
    profile: str | None,
    sets: Sequence[str],
    *,
    address: str | None,
    workload_package: Path | None,
    store: str | None,
    is_followed: bool,
    is_json: bool,
) -> int:
    """Submit a sweep; returns the exit code of submitting, or with --follow that of the run."""
    sweep = open_sweep(name, profile, sets)
    client = connect(address)
    job = client.submit(sweep, workload_package=workload_package, store=store)
    assert job.submitted is not None
    if is_json:
        print_json({**asdict(job.submitted), "address": client.address})
    else:
        print(f"{WORDS[job.submitted.what].format(before=job.submitted.before)} {job.id}")
        print(f"  results: {job.submitted.store}, on the cluster's machines")
        if job.submitted.remark is not None:
            print(f"  {job.submitted.remark}")
        for verb in ("logs -f", "show", "stop"):
            print(f"  {program()} {verb} {job.id} --address {client.address}")
    return _follow(job, client, sys.stderr if is_json else sys.stdout) if is_followed else 0


def show_logs(job_id: str, *, address: str | None, is_followed: bool) -> int:
    client = connect(address)
    job = client.job(job_id)
    if is_followed:
        return _follow(job, client, sys.stdout)
    for line in job.logs():
        print(line)
    return 0


def _follow(job: Job, client: Client, out: Any) -> int:
    """Print the log until the job ends; returns the exit code that `assay run` would have."""
    try:
        for line in job.logs(follow=True):
            print(line, file=out, flush=True)
    except KeyboardInterrupt:
        print(f"\n{job.id} keeps running: {program()} logs -f {job.id} --address {client.address}", file=sys.stderr)
        return EXIT_INTERRUPTED
    return report_end(job)


def report_end(job: Job) -> int:
    """Say how a job ended, unless it succeeded; returns the exit code that `assay run` would have."""
    about = job.about()
    if about.status == "SUCCEEDED":
        return 0
    advice = NO_ASSAY if about.exit_code == NOT_FOUND else ""
    print(f"{job.id}: {about.status}{advice}", file=sys.stderr)
    return EXIT_INTERRUPTED if about.status == "STOPPED" else about.exit_code or EXIT_COULD_NOT


def stop_job(job_id: str, *, address: str | None) -> int:
    """Stop a job and wait until it has stopped; returns the exit code."""
    job = connect(address).job(job_id)
    before = job.status()
    if before in OVER:
        print(f"{job.id} has already ended: {before}")
        return 0
    print(f"stopping {job.id}; saving its checkpoints", flush=True)
    after = job.stop()
    print(f"{job.id}: {after}. Submit the same sweep again to resume.")
    return 0


def jobs_json(address: str) -> list[dict[str, Any]]:
    return [_as_json(about) for about in connect(address).jobs()]


def jobs_grid(address: str) -> Grid[About]:
    client = connect(address)
    abouts = client.jobs()
    return Grid(Listing(f"{plural(len(abouts), 'job')} on {client.address}", JOB_COLUMNS, abouts))


def follow_log(job: Job, address: str | None) -> int:
    return _follow(job, connect(address), sys.stdout)


def find_job(job_id: str, address: str) -> Job:
    return connect(address).job(job_id)


def show_job(job: Job, is_json: bool) -> None:
    about, results, ledger = job.about(), job.results(), job.ledger()
    if is_json:
        frames = {"results": results, "ledger": ledger}
        tables = {name: json.loads(frame.to_json(orient="records")) for name, frame in frames.items()}
        print_json(_as_json(about) | tables)
        return
    out = console()
    out.print(Text.assemble((about.id, "bold"), "  ", (about.status, STYLES[about.status])))
    profile = f" (profile {about.profile})" if about.profile else ""
    out.print(f"  {about.sweep}{profile}, submitted by {about.user} with assay {about.version}", soft_wrap=True)
    if about.started is not None:
        started = f"{about.started.astimezone():%Y-%m-%d %H:%M:%S}"
        out.print(f"  started {started}, {'took' if about.ended else 'running for'} {_lasted(about)}", soft_wrap=True)
    for line in _last_words(about):
        out.print(f"  {line}", style="red", soft_wrap=True, markup=False)
    if len(results):
        out.print(
            f"\n{results.drop(columns=['key', 'stages']).to_string(index=False, na_rep='-')}",
            markup=False,
            soft_wrap=True,
        )
    out.print(f"\nledger: {plural(len(ledger), 'stage')}{_days(ledger)}", soft_wrap=True)


def _days(ledger: pd.DataFrame) -> str:
    """Their sum, where there is a stage."""
    if ledger.empty:
        return ""
    field = str(ledger.columns[-1])
    unknown = int(ledger[field].isna().sum())
    besides = f" besides {plural(unknown, 'stage')} on devices of unknown speed" if unknown else ""
    return f", {ledger[field].sum():.3g} {DeviceDays.of_field(field).name}{besides}"


JOB_COLUMNS: tuple[Column[About], ...] = (
    Column("job", lambda about: about.id, min_width=16),
    Column("status", lambda about: about.status, folds=False, color=lambda about: STYLES[about.status]),
    Column("user", lambda about: about.user, folds=False),
    Column("started", lambda about: _started(about), is_number=True),
    Column("took", lambda about: _lasted(about), is_number=True),
)


def _started(about: About) -> str:
    return "" if about.started is None else age((datetime.now(UTC) - about.started).total_seconds())


def _lasted(about: About) -> str:
    if about.started is None:
        return ""
    return clock(((about.ended or datetime.now(UTC)) - about.started).total_seconds())


def _last_words(about: About) -> list[str]:
    """Why a job failed: Ray's message ends with the last lines of its log."""
    lines = [line for line in about.message.splitlines() if line.strip() and not is_row(line)]
    return lines[-LAST_WORDS:] if about.status == "FAILED" else []


def _as_json(about: About) -> dict[str, Any]:
    times = {"started": about.started, "ended": about.ended}
    return asdict(about) | {name: when.isoformat() if when else None for name, when in times.items()}
