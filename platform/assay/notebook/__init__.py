"""assay in notebooks. What they show of its objects is made by `assay.report.html.shown`."""

from __future__ import annotations

import sys


def is_notebook() -> bool:
    """Whether this process is the kernel of a notebook, which has imported IPython then."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and hasattr(shell, "kernel")
