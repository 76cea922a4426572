"""The sweep file: read, validated with line numbers, expanded to trials."""

from assay.spec.check import FindWorkload
from assay.spec.expand import Trial
from assay.spec.load import load_sweep
from assay.spec.schema import (
    Limits,
    Plot,
    Reference,
    ReferenceRow,
    Report,
    Resources,
    Sweep,
)
from assay.spec.search import Parameter, PartitionOf, Scheduler, Searcher

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
