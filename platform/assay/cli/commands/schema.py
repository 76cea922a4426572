"""`assay schema`: the JSON Schema of sweep files, for editors."""

from __future__ import annotations

from collections.abc import Sequence

from assay.cli.output import print_json
from assay.sweep.json_schema import json_schema
from assay.workload import load_workload, workload_names


def print_schema(names: Sequence[str]) -> None:
    """Print the schema of sweeps of the workloads; without names, of all that are installed."""
    print_json(json_schema([load_workload(name) for name in names or workload_names()]))
