"""The report as a single, self-contained HTML file."""

from assay.report.html.page import Contents, page

__all__ = ["Contents", "page"]
