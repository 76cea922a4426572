"""Commands that what is stored, and what shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from assay.cli import completion
from assay.cli.options import AddressOpt, JsonOpt, ProfileOpt, SetOpt, SweepArg, SweepsArg


def ls(address: AddressOpt = None, as_json: JsonOpt = False) -> None:
    """List what runs now, the sweeps that have a report here, the stages in the store, and a cluster's jobs."""
    from assay.cli.commands.ls import list_everything

    list_everything(address, as_json)


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


def export(
    key: Annotated[
        str,
        typer.Argument(metavar="KEY", help="The first characters of a stage's key.", autocompletion=completion.shown),
    ],
    form: Annotated[
        str,
        typer.Option("--format", metavar="NAME", help="What to write.", autocompletion=completion.formats_written),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="PATH", help="The file or folder to write.")],
    file: Annotated[
        str | None,
        typer.Option("--file", metavar="NAME", help="Another file of the result, as `assay show KEY` lists them."),
    ] = None,
    as_json: JsonOpt = False,
) -> None:
    """Write a result's file in another program's format: what a training computed, for use elsewhere."""
    from assay.cli.commands.convert import export_result

    export_result(key, form, file, output, as_json)


def import_(
    source: Annotated[Path, typer.Argument(metavar="PATH", help="The file or folder to read.")],
    form: Annotated[
        str,
        typer.Option("--format", metavar="NAME", help="What it is.", autocompletion=completion.formats_read),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The file to write.")],
    as_json: JsonOpt = False,
) -> None:
    """Convert another program's files to one that a sweep can start from, and print the config that goes with it."""
    from assay.cli.commands.convert import import_files

    import_files(source, form, output, as_json)


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
