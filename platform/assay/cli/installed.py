"""Commands that installed workloads add to `assay`."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from assay.errors import UserError
from assay.workload.protocol import HasCommands, load_attribute, load_workload, workload_names


class WithInstalled(TyperGroup):
    """Our commands, and those of workloads, which are looked for only if the name is none of ours."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # Typer's own click has the types
        return super().get_command(ctx, cmd_name) or _of_workloads(cmd_name)


def _of_workloads(name: str) -> Any:
    """The command of that name of the first workload that has one. Those that cannot be loaded have none."""
    for workload_name in workload_names():
        try:
            workload = load_workload(workload_name)
        except UserError:  # reported by every command that needs it
            continue
        if isinstance(workload, HasCommands) and name in workload.commands:
            app = typer.Typer(add_completion=False)
            app.command(name=name)(load_attribute(workload.commands[name]))
            return get_command(app)
    return None
