"""A sweep's report: tables, plots, pictures and a page, as files. The pictures alone need matplotlib."""

import importlib
import sys
from types import ModuleType
from typing import Any

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


class _Verb(ModuleType):
    """`assay.report` is a verb of the Python API, too. Python puts an imported package where that function was, so the
    package is called like it."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return importlib.import_module("assay")._write_report(*args, **kwargs)


sys.modules[__name__].__class__ = _Verb
