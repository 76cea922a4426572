"""A sweep's report: tables, plots, pictures and a page, as files. The pictures alone need matplotlib."""

from assay.report.folder import PAGE, REPORT, Written, cannot_write, earlier_failures, earlier_logs, write, write_page
from assay.report.tables.formats import as_csv, as_json, as_markdown, as_rich, as_text

__all__ = [
    "PAGE",
    "REPORT",
    "Written",
    "as_csv",
    "as_json",
    "as_markdown",
    "as_rich",
    "as_text",
    "cannot_write",
    "earlier_failures",
    "earlier_logs",
    "write",
    "write_page",
]
