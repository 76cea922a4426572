"""A sweep's results: its trials ranked, with confidence intervals and the paper's numbers. Pure functions."""

from assay.results.outcome import Outcome, TrialOutcome, from_store
from assay.results.rows import Arm, Failure, Row
from assay.results.table import Table, joint, table

__all__ = ["Arm", "Failure", "Outcome", "Row", "Table", "TrialOutcome", "from_store", "joint", "table"]
