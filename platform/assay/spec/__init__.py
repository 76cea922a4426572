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
    Values,
)

__all__ = [
    "FindWorkload",
    "Limits",
    "Plot",
    "Reference",
    "ReferenceRow",
    "Report",
    "Resources",
    "Sweep",
    "Trial",
    "Values",
    "load_sweep",
]
