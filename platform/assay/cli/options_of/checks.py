"""Commands that check this machine, a workload, an alert."""

from __future__ import annotations

from typing import Annotated

import typer

from assay.cli import completion
from assay.cli.options import JsonOpt, ProfileOpt, SetOpt


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


def doctor(
    repair: Annotated[
        bool, typer.Option("--repair", help="Set damaged records of the store aside, deleting nothing.")
    ] = False,
    as_json: JsonOpt = False,
) -> None:
    """Check that this machine can run a sweep: versions, devices, disk, and every record and file of the store."""
    from assay.cli.commands.doctor import examine

    raise typer.Exit(examine(as_json, repair))
