"""The report as one HTML file that needs nothing else: no network, no folder beside it."""

from assay.report.html.page import Contents, page

__all__ = ["Contents", "page"]
