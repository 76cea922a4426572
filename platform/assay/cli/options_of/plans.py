"""Commands that write, check and plan a sweep."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from assay.cli import completion
from assay.cli.options import JsonOpt, ProfileOpt, SetOpt, SweepArg, VerifyOpt


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
        Path | None,
        typer.Option(metavar="FILE", help="With --on: draw when each stage runs, as PNG, SVG, PDF or HTML."),
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
