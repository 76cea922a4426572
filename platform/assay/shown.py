"""Notebooks: whether this is one, and objects that it shows as tables."""

from __future__ import annotations

from importlib import import_module

from assay.imported import imported


class Shown:
    def _repr_html_(self) -> str:
        """What a notebook shows. A module above all that it shows makes it, which is why it is named by its path."""
        return import_module("assay.report.html.shown").as_html(self)


def is_notebook() -> bool:
    """Whether this process is the kernel of a notebook, which has imported IPython then."""
    ipython = imported("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and hasattr(shell, "kernel")
