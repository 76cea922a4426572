"""What a sweep found: its trials ranked, with intervals and the paper's numbers beside them. Pure."""

from assay.results.rows import Arm, Failure, Row
from assay.results.stored import Standing, from_store
from assay.results.table import Table, TrialResults, joint, table

__all__ = ["Arm", "Failure", "Row", "Standing", "Table", "TrialResults", "from_store", "joint", "table"]
