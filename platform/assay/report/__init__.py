"""A sweep's report as files: tables, plots, pictures and an HTML page. Only pictures need matplotlib."""

import importlib
import sys
from types import ModuleType
from typing import Any

from assay.report.folder import PAGE, Written, cannot_write, earlier_failures, earlier_logs, write, write_page
from assay.report.tables.formats import as_csv, as_json, as_markdown, as_rich

__all__ = [
    "PAGE",
    "Written",
    "as_csv",
    "as_json",
    "as_markdown",
    "as_rich",
    "cannot_write",
    "earlier_failures",
    "earlier_logs",
    "write",
    "write_page",
]


class _Verb(ModuleType):
    """`assay.report` is also a function of the Python API. Importing this package replaces the function, so the package
    is callable."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return importlib.import_module("assay")._write_report(*args, **kwargs)


sys.modules[__name__].__class__ = _Verb
