"""What a sweep found: the table of its arms, and its pictures. Pure; the pictures alone need matplotlib."""

from assay.report.folder import REPORT, Written, write
from assay.report.formats import as_csv, as_json, as_markdown, as_rich, as_text
from assay.report.labels import serves
from assay.report.rows import Arm, Failure, Row
from assay.report.stored import Standing, from_store
from assay.report.table import Table, TrialResults, joint, table

__all__ = [
    "REPORT",
    "Arm",
    "Failure",
    "Row",
    "Standing",
    "Table",
    "TrialResults",
    "Written",
    "as_csv",
    "as_json",
    "as_markdown",
    "as_rich",
    "as_text",
    "from_store",
    "joint",
    "serves",
    "table",
    "write",
]
