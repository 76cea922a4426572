"""Read a sweep file, validate it with line numbers, and expand it to trials."""

from assay.sweep.expansion import Trial
from assay.sweep.load import load_sweep
from assay.sweep.plots import Plot
from assay.sweep.resources import Resources
from assay.sweep.schema import FindWorkload, Limits, Reference, ReferenceRow, Report, Sweep
from assay.sweep.search.parameter import Parameter, PartitionOf
from assay.sweep.search.schedulers import SCHEDULERS, Scheduler, SchedulerFacts
from assay.sweep.search.searchers import SEARCHERS, Searcher, SearcherFacts

__all__ = [
    "SCHEDULERS",
    "SEARCHERS",
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
    "SchedulerFacts",
    "Searcher",
    "SearcherFacts",
    "Sweep",
    "Trial",
    "load_sweep",
]
