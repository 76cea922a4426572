"""Commands that run, on a cluster too, watch and stop."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from assay.cli import completion
from assay.cli.options import AddressOpt, JobArg, JsonOpt, ProfileOpt, SetOpt, SweepArg, VerifyOpt


def run(
    sweep: SweepArg,
    profile: ProfileOpt = None,
    sets: SetOpt = None,
    executor: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="ray: on a cluster. inline: in this process, for a debugger.",
            autocompletion=completion.executors,
        ),
    ] = "ray",
    address: Annotated[
        str | None,
        typer.Option(help='A running Ray cluster ("auto", host:port). Default: start one for this run.'),
    ] = None,
    tracking: Annotated[bool, typer.Option("--tracking/--no-tracking", help="Show the sweep in MLflow.")] = True,
    plain: Annotated[bool, typer.Option("--plain", help="Print lines instead of a live display.")] = False,
    rows: Annotated[
        bool, typer.Option("--rows", help="Also print each result as a line of JSON, for programs that read the log.")
    ] = False,
    verify_data: VerifyOpt = False,
    stale: Annotated[
        str | None,
        typer.Option(
            metavar="keep|recompute",
            help="Stages whose code changed while their version did not. Default: keep what is stored, and warn.",
        ),
    ] = None,
    as_json: JsonOpt = False,
) -> None:
    """Compute what is missing from a sweep's results, and compare its arms.

    Rerun the same command to resume after Ctrl-C, a crash or an edit: nothing is computed twice.
    """
    from assay.cli.commands.run import run_sweep
    from assay.cli.output import stderr_apart

    with stderr_apart():
        code = run_sweep(
            sweep,
            profile,
            sets or [],
            executor=executor,
            address=address,
            with_tracking=tracking,
            plain=plain,
            with_rows=rows,
            is_json=as_json,
            verifies_data=verify_data,
            stale=stale,
        )
    raise typer.Exit(code)


def submit(
    sweep: SweepArg,
    address: AddressOpt = None,
    profile: ProfileOpt = None,
    sets: SetOpt = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Print its log until it ends.")] = False,
    workload_package: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A folder of modules to upload: your own workload.")
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            metavar="PATH|URL",
            help="The store, as all of the cluster's machines reach it. Default: ASSAY_STORE, or ~/.assay/store there.",
        ),
    ] = None,
    as_json: JsonOpt = False,
) -> None:
    """Run a sweep on a Ray cluster, and return at once.

    Submitting the same sweep again attaches to its running job, or resumes from the store.
    """
    from assay.cli.commands.jobs import submit_sweep

    raise typer.Exit(
        submit_sweep(
            sweep,
            profile,
            sets or [],
            address=address,
            workload_package=workload_package,
            store=store,
            is_followed=follow,
            is_json=as_json,
        )
    )


def watch(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="[SWEEP | JOB]",
            help="A sweep that runs with this store, or a job. Default: what runs.",
            autocompletion=completion.sweeps,
        ),
    ] = None,
    profile: ProfileOpt = None,
    address: AddressOpt = None,
    once: Annotated[bool, typer.Option("--once", help="Show the board as it is now, and return.")] = False,
    as_json: JsonOpt = False,
) -> None:
    """Show the live board of a run in another terminal, or on a cluster. Ctrl-C leaves it running."""
    from assay.cli.commands.watch import watch as watch_run

    raise typer.Exit(watch_run(what, profile, address=address, is_once=once, is_json=as_json))


def logs(
    job: JobArg,
    address: AddressOpt = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Follow until the job ends, across dropped connections.")
    ] = False,
) -> None:
    """Print what a job has printed."""
    from assay.cli.commands.jobs import show_logs

    raise typer.Exit(show_logs(job, address=address, is_followed=follow))


def stop(job: JobArg, address: AddressOpt = None) -> None:
    """Stop a job: checkpoint its trainings and release its resources."""
    from assay.cli.commands.jobs import stop_job

    raise typer.Exit(stop_job(job, address=address))
