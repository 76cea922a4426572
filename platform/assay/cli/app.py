"""The command line: its commands, in the order of the help."""

from __future__ import annotations

from typing import Annotated

import typer

from assay.cli.installed import WithInstalled
from assay.cli.options_of import checks, plans, results, runs

app = typer.Typer(
    cls=WithInstalled,
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


COMMANDS = (
    runs.run,
    runs.submit,
    runs.watch,
    runs.logs,
    runs.stop,
    plans.init,
    plans.validate,
    plans.plan,
    results.ls,
    results.show,
    plans.why,
    results.compare,
    results.report,
    results.export,
    results.import_,
    results.sync,
    results.ui,
    checks.notify,
    plans.schema,
    checks.check,
    results.gc,
    checks.doctor,
)
for command in COMMANDS:
    app.command(name=command.__name__.rstrip("_"))(command)
