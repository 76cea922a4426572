"""The commands and their options. Each command is in a module of its own, imported when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from assay.cli import completion
from assay.cli.options import AddressOpt, JobArg, JsonOpt, ProfileOpt, SetOpt, SweepArg, SweepsArg, VerifyOpt

app = typer.Typer(
    help="Studies of generative models on a Ray cluster: one YAML file, one table.",
    epilog="Start with: assay run quickstart, or a study of your own: assay init. Results are stored in .assay, or in "
    "the folder set as ASSAY_HOME.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(is_requested: bool) -> None:
    if is_requested:
        from importlib.metadata import version

        print(f"assay {version('assay')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _assay(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command()
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


@app.command()
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


@app.command()
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


@app.command()
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


@app.command()
def stop(job: JobArg, address: AddressOpt = None) -> None:
    """Stop a job: checkpoint its trainings and release its resources."""
    from assay.cli.commands.jobs import stop_job

    raise typer.Exit(stop_job(job, address=address))


@app.command()
def init(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="The study's name, or a path. Default: my-study, or my-workload."),
    ] = None,
    workload: Annotated[
        str | None,
        typer.Option(
            "--workload",
            "-w",
            metavar="NAME",
            help="What to study. Default: the first that is installed.",
            autocompletion=completion.workloads,
        ),
    ] = None,
    package: Annotated[
        bool, typer.Option("--package", help="Write the package of a new workload, with its test, instead.")
    ] = False,
) -> None:
    """Write a study to begin with, commented and ready to run; or a workload of your own. Overwrites nothing."""
    from assay.cli.commands.init import init_package, init_sweep
    from assay.errors import UserError

    if package and workload is not None:
        raise UserError("--package writes a new workload, and --workload names an installed one: leave one of them out")
    if package:
        init_package(name or "my-workload")
    else:
        init_sweep(name or "my-study", workload)


@app.command()
def validate(
    sweep: SweepArg,
    profile: ProfileOpt = None,
    sets: SetOpt = None,
    verify_data: VerifyOpt = False,
    as_json: JsonOpt = False,
) -> None:
    """Check a sweep file, and report every mistake with its line."""
    from assay.cli.commands.plan import validate_sweep

    validate_sweep(sweep, profile, sets or [], as_json, verifies_data=verify_data)


@app.command()
def plan(
    sweep: SweepArg,
    profile: ProfileOpt = None,
    sets: SetOpt = None,
    on: Annotated[
        str | None,
        typer.Option(
            "--on",
            metavar="MACHINES",
            help='Simulate the run on machines, as in 8xp3.16xlarge or "4x(8xA100-40GB,64CPU)".',
            autocompletion=completion.machines,
        ),
    ] = None,
    starts_after: Annotated[
        str | None, typer.Option(metavar="TIME", help="With --on: how long a machine takes to start, as in 5m.")
    ] = None,
    losses: Annotated[
        str | None, typer.Option(metavar="RATE", help="With --on: how often each is taken away, as in 0.05/h.")
    ] = None,
    chart: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With --on: draw when each stage runs, as PNG, SVG or PDF.")
    ] = None,
    seed: Annotated[int, typer.Option(help="With --on: draws who wins a race, and which machines are lost.")] = 0,
    verify_data: VerifyOpt = False,
    as_json: JsonOpt = False,
) -> None:
    """Show what a run would do: its trials and stages, what is stored, and what the rest would cost."""
    from assay.cli.commands.plan import plan_sweep
    from assay.cli.commands.simulate import asked

    where = asked(on, starts_after, losses, seed, chart)
    plan_sweep(sweep, profile, sets or [], as_json, verifies_data=verify_data, on=where)


@app.command(name="ls")
def list_(address: AddressOpt = None, as_json: JsonOpt = False) -> None:
    """List what runs now, the sweeps that have a report here, the stages in the store, and a cluster's jobs."""
    from assay.cli.commands.ls import list_everything

    list_everything(address, as_json)


@app.command()
def show(
    what: Annotated[
        str,
        typer.Argument(
            metavar="KEY | SWEEP[:TRIAL] | JOB | preset",
            help="A sweep, or the first characters of a key or a job.",
            autocompletion=completion.shown,
        ),
    ],
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="After `preset`: its name.", autocompletion=completion.shown_presets),
    ] = None,
    profile: ProfileOpt = None,
    sets: SetOpt = None,
    address: AddressOpt = None,
    as_json: JsonOpt = False,
) -> None:
    """Show a stored stage, a sweep, one of its trials, a job, or a preset: config, inputs, metrics, cost, files."""
    from assay.cli.commands.show import show_anything

    show_anything(what, name, profile, sets or [], address=address, is_json=as_json)


@app.command()
def why(
    what: Annotated[
        str,
        typer.Argument(
            metavar="SWEEP | KEY",
            help="A sweep, or the first characters of a key of its plan.",
            autocompletion=completion.sweeps_and_keys,
        ),
    ],
    sweep: Annotated[
        str | None,
        typer.Argument(
            metavar="[SWEEP]",
            help="After a key: its sweep. Default: look in all known here.",
            autocompletion=completion.sweeps,
        ),
    ] = None,
    profile: ProfileOpt = None,
    sets: SetOpt = None,
    as_json: JsonOpt = False,
) -> None:
    """Say why a stage is to be computed: which setting, input or version differs from the nearest stored result."""
    from assay.cli.commands.why import explain

    explain(what, sweep, profile, sets or [], as_json)


@app.command()
def compare(
    sweeps: SweepsArg,
    profile: ProfileOpt = None,
    sets: SetOpt = None,
    cost: Annotated[
        bool, typer.Option("--cost", help="Show what the stages cost, and what sharing and early stopping saved.")
    ] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, and nothing else, on stdout.")] = False,
    as_json: JsonOpt = False,
) -> None:
    """Print the final tables of sweeps from stored results; several are also ranked together. Computes nothing."""
    from assay.cli.commands.compare import compare_sweeps

    compare_sweeps(sweeps, profile, sets or [], is_json=as_json, is_csv=as_csv, is_cost=cost)


@app.command()
def report(
    sweep: SweepArg,
    profile: ProfileOpt = None,
    sets: SetOpt = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="One file to write. Default: in the report folder."),
    ] = None,
    as_json: JsonOpt = False,
) -> None:
    """Write a sweep's report as HTML: table, plots, samples, configs, cost; without -o, interactive.html beside it."""
    from assay.cli.commands.report import report_sweep

    report_sweep(sweep, profile, sets or [], output, as_json)


@app.command()
def sync(
    sweeps: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SWEEP]...", help="Default: all with a report here.", autocompletion=completion.sweeps),
    ] = None,
    profile: ProfileOpt = None,
    sets: SetOpt = None,
    as_json: JsonOpt = False,
) -> None:
    """Rebuild MLflow's view from the store, if it was unreachable, deleted or moved. Computes nothing."""
    from assay.cli.commands.sync import sync_sweeps

    raise typer.Exit(sync_sweeps(sweeps or [], profile, sets or [], as_json))


@app.command()
def ui(
    sweep: Annotated[
        str | None,
        typer.Argument(metavar="[SWEEP]", help="Print only this sweep's address.", autocompletion=completion.sweeps),
    ] = None,
    port: Annotated[int, typer.Option(help="Local port of MLflow's UI.")] = 5000,
) -> None:
    """Serve MLflow's UI for what was tracked here, until Ctrl-C."""
    from assay.home import Home
    from assay.tracking import serve

    serve(Home.default(), port, sweep)


@app.command()
def notify(
    sweep: Annotated[
        str | None,
        typer.Argument(
            metavar="[SWEEP]",
            help="Default: those in the home's settings.yaml.",
            autocompletion=completion.sweeps,
        ),
    ] = None,
    profile: ProfileOpt = None,
    sets: SetOpt = None,
) -> None:
    """Send a test alert to everyone whom a run would notify: its webhooks and commands."""
    from assay.cli.commands.notify import send_test

    raise typer.Exit(send_test(sweep, profile, sets or []))


@app.command()
def schema(
    workloads: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[WORKLOAD]…", help="Default: all that are installed.", autocompletion=completion.workloads
        ),
    ] = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the keys as tables, for people, without the config paths.")
    ] = False,
) -> None:
    """Print a JSON Schema of sweep files, with which editors complete and check them."""
    from assay.cli.commands.schema import print_schema

    print_schema(workloads or [], is_markdown=markdown)


@app.command()
def check(
    workload: Annotated[
        str,
        typer.Argument(
            metavar="WORKLOAD", help="The name of an installed workload.", autocompletion=completion.workloads
        ),
    ],
    as_json: JsonOpt = False,
) -> None:
    """Check a workload, for its author: presets, bodies, and a trial of seconds in a temporary store."""
    from assay.cli.commands.check import check_workload

    raise typer.Exit(check_workload(workload, as_json))


@app.command()
def gc(
    keep: Annotated[
        list[str] | None,
        typer.Option(
            "--keep",
            metavar="SWEEP...",
            help="Sweeps whose results stay, with all their profiles; at least one.",
            autocompletion=completion.sweeps,
        ),
    ] = None,
    others: Annotated[
        list[str] | None, typer.Argument(metavar="[SWEEP]...", help="More sweeps to keep.", hidden=True)
    ] = None,
    older_than: Annotated[
        str | None,
        typer.Option(
            metavar="AGE",
            help="Delete only what is older, as in 12h, 30d or 2w. Default: 1d. If given, also damaged files that were "
            "set aside.",
        ),
    ] = None,
    preview: Annotated[bool, typer.Option("--preview", help="Only print what would be deleted: the default.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Delete it.")] = False,
    as_json: JsonOpt = False,
) -> None:
    """Free space: delete what no kept sweep reaches, from the store and from MLflow.

    Results, checkpoints, shards, and what killed runs left; never what a run uses. Reports stay.
    """
    from assay.cli.commands.gc import collect_garbage
    from assay.errors import UserError

    if others and not keep:
        raise UserError(f"gc: got {' '.join(others)} without --keep, allowed: sweeps to keep after --keep")
    raise typer.Exit(collect_garbage([*(keep or []), *(others or [])], older_than, preview, yes, as_json))


@app.command()
def doctor(
    repair: Annotated[
        bool, typer.Option("--repair", help="Set damaged records of the store aside, deleting nothing.")
    ] = False,
    as_json: JsonOpt = False,
) -> None:
    """Check that this machine can run a sweep: versions, devices, disk, and every record and file of the store."""
    from assay.cli.commands.doctor import examine

    raise typer.Exit(examine(as_json, repair))
