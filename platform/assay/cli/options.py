"""Arguments and options that several commands take."""

from __future__ import annotations

from typing import Annotated

import typer

from assay.cli import completion

SweepArg = Annotated[
    str,
    typer.Argument(
        metavar="SWEEP", help="A sweep file, or the name of one in sweeps/.", autocompletion=completion.sweeps
    ),
]
SweepsArg = Annotated[
    list[str],
    typer.Argument(metavar="SWEEP...", help="Sweep files, or names in sweeps/.", autocompletion=completion.sweeps),
]
ProfileOpt = Annotated[
    str | None,
    typer.Option(
        "--profile",
        "-p",
        metavar="NAME",
        help="A profile of the sweep file.",
        autocompletion=completion.profiles,
    ),
]
SetOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-s",
        metavar="PATH=VALUE",
        help="Override a config path in every arm. VALUE is all text after the first =: numbers, true, false, null, "
        '[1, 2], {key: 1} and "quoted text" are read as YAML, anything else as plain text. Repeatable.',
        autocompletion=completion.sets,
    ),
]
VerifyOpt = Annotated[
    bool,
    typer.Option(
        "--verify-data", help="Read all data again, even if sizes and times are the same, and report what has changed."
    ),
]
AddressOpt = Annotated[
    str | None,
    typer.Option(
        "--address", metavar="URL", envvar="ASSAY_ADDRESS", help="URL of a cluster's dashboard, as in http://head:8265."
    ),
]
JobArg = Annotated[str, typer.Argument(metavar="JOB", help="A job's id, or its first characters.")]
JsonOpt = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on stdout.")]
