"""The sweep file: read, validated with line numbers, expanded to trials."""

from assay.sweep.checks import FindWorkload
from assay.sweep.expansion import Trial
from assay.sweep.load import load_sweep
from assay.sweep.schema import (
    Limits,
    Plot,
    Reference,
    ReferenceRow,
    Report,
    Resources,
    Sweep,
)
from assay.sweep.search.options import Parameter, PartitionOf, Scheduler, Searcher

__all__ = [
    "FindWorkload",
    "Limits",
    "Parameter",
    "PartitionOf",
    "Plot",
    "Reference",
    "ReferenceRow",
    "Report",
    "Resources",
    "Scheduler",
    "Searcher",
    "Sweep",
    "Trial",
    "load_sweep",
]
