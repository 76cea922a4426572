"""A sweep's results: its trials ranked, with confidence intervals and the paper's numbers. Pure functions."""

from assay.results.outcome import Outcome, TrialOutcome, from_store
from assay.results.rows import ArmSummary, Row, TrialFailure
from assay.results.table import Table, joint, table

__all__ = ["ArmSummary", "Outcome", "Row", "Table", "TrialFailure", "TrialOutcome", "from_store", "joint", "table"]
