"""`assay schema`: the JSON Schema of sweep files, for editors."""

from __future__ import annotations

from collections.abc import Sequence

from assay.cli.commands.key_tables import key_tables
from assay.cli.output import print_json, print_text
from assay.sweep.json_schema import json_schema
from assay.workload import load_workload, workload_names


def print_schema(names: Sequence[str], *, is_markdown: bool = False) -> None:
    """Print the schema of sweeps of the workloads; without names, of all that are installed."""
    schema = json_schema([load_workload(name) for name in names or workload_names()])
    if is_markdown:
        print_text(key_tables(schema).rstrip("\n"))
    else:
        print_json(schema)
