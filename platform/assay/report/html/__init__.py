"""The report as self-contained HTML files: the page, and one to sort, filter and hover."""

from assay.report.html.interactive import INTERACTIVE, interactive
from assay.report.html.page import Contents, page

__all__ = ["INTERACTIVE", "Contents", "interactive", "page"]
