"""What a sweep found: the table of its arms, and its pictures. Pure; the pictures alone need matplotlib."""

from assay.report.folder import PAGE, REPORT, Written, cannot_write, earlier_failures, earlier_logs, write, write_page
from assay.report.formats import as_csv, as_json, as_markdown, as_rich, as_text
from assay.report.labels import serves
from assay.report.priced import Priced, priced
from assay.report.rows import Arm, Failure, Row
from assay.report.stored import Standing, from_store
from assay.report.table import Table, TrialResults, joint, table

__all__ = [
    "PAGE",
    "REPORT",
    "Arm",
    "Failure",
    "Priced",
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
    "cannot_write",
    "earlier_failures",
    "earlier_logs",
    "from_store",
    "joint",
    "priced",
    "serves",
    "table",
    "write",
    "write_page",
]
